// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every entry of the log is an object in which no key is there twice: who reads it
// would see one of the two.
func TestD10_NoKeyIsTwiceInAnEntryOfTheLogOfUp(t *testing.T) {
	b := setup(t)
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	require.NoError(t, err)
	up := exec.CommandContext(t.Context(), binary, "up", "--kubeconfig", shared.Cluster.Kubeconfig, "--namespace", b.namespace,
		"--log-level=debug", "--data-dir", t.TempDir(), "--nats-address=", "--http-address=")
	up.Stderr = log
	require.NoError(t, up.Start())
	read := func() string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(text)
	}
	require.Eventually(t, func() bool {
		return strings.Contains(read(), "controller started") && strings.Contains(read(), `"service":"pauser"`)
	}, patience, 20*time.Millisecond)
	require.NoError(t, up.Process.Signal(syscall.SIGTERM))
	require.NoError(t, up.Wait(), read())
	require.NoError(t, log.Close())

	services := map[any]bool{}
	for line := range strings.Lines(read()) {
		entry, err := unique(json.NewDecoder(strings.NewReader(line)))
		require.NoError(t, err, line)
		services[entry["service"]] = true
	}
	require.True(t, services["up"])
	require.True(t, services["pauser"])
}

// unique reads an object in which no key may be there twice.
func unique(decoder *json.Decoder) (map[string]any, error) {
	if _, err := decoder.Token(); err != nil { // the brace
		return nil, err
	}
	object := map[string]any{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if _, twice := object[name]; twice || !ok {
			return nil, fmt.Errorf("key %v is there twice", key)
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		object[name] = value
	}
	return object, nil
}
