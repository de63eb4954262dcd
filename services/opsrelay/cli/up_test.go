// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/opsrelay/cli"
)

// Every entry of the log is an object in which no key is there twice: who reads it
// would see one of the two.
func TestD10_NoKeyIsTwiceInAnEntryOfTheLog(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(nowhere), 0o600))
	ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer stop()
	var log bytes.Buffer
	root := cli.New()
	root.SetErr(&log)
	root.SetArgs([]string{
		"up", "--kubeconfig", kubeconfig, "--log-level=debug", "--data-dir", t.TempDir(), "--nats-address=", "--http-address=", "--database-controllers",
	})
	_ = root.ExecuteContext(ctx) // it may have been stopped while it started
	services := map[any]bool{}
	for line := range strings.Lines(log.String()) {
		entry, err := unique(json.NewDecoder(strings.NewReader(line)))
		require.NoError(t, err, line)
		services[entry["service"]] = true
	}
	require.True(t, services["up"], log.String())
}

// unique reads an object in which no key may be there twice.
func unique(decoder *json.Decoder) (map[string]any, error) {
	if _, err := decoder.Token(); err != nil { // {
		return nil, err
	}
	object := map[string]any{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		if _, twice := object[key.(string)]; twice {
			return nil, fmt.Errorf("key %s is there twice", key)
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		object[key.(string)] = value
	}
	return object, nil
}

// The board opens its page's port and no other, unless it is told to.
func TestD10_TheBoardOpensOnePort(t *testing.T) {
	t.Parallel()
	for _, command := range cli.New().Commands() {
		flag := command.Flags().Lookup("http-address")
		if flag == nil || command.Name() != "board" {
			continue
		}
		require.Empty(t, flag.DefValue)
		host, _, err := net.SplitHostPort(command.Flags().Lookup("listen").DefValue)
		require.NoError(t, err)
		require.True(t, net.ParseIP(host).IsLoopback())
		return
	}
	t.Fatal("there is no board")
}
