// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/opsrelay/cli"
)

// nowhere is a kubeconfig of an API server that does not answer.
const nowhere = `apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
`

// Whoever stops a process while it starts, with ^C or as Kubernetes does, is told of
// no error.
func TestD09_AStopWhileAProcessStartsIsNoError(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(nowhere), 0o600))
	broker := bustest.Start(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT})
	require.NoError(t, bus.Provision(t.Context(), bustest.ConnectTo(t, broker, "provision").JetStream(), 1))
	for name, args := range map[string][]string{
		"up":     {"up", "--data-dir", t.TempDir(), "--nats-address=", "--http-address=127.0.0.1:0"},
		"pauser": {"pauser", "--http-address=", "--nats-url", "nats://127.0.0.1:1"},
		"board":  {"board", "--http-address=", "--listen=127.0.0.1:0", "--nats-url", broker.ClientURL()},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.StopsAtAnyMoment(t, func(ctx context.Context) error {
				var said bytes.Buffer
				root := cli.New()
				root.SetOut(&said)
				root.SetErr(&said)
				root.SetArgs(append(args, "--kubeconfig", kubeconfig, "--log-level=error"))
				return root.ExecuteContext(ctx)
			})
		})
	}
}

// Who follows the facts, and gives up before the broker has answered, too.
func TestD09_AStopWhileEventsAreFollowedIsNoError(t *testing.T) {
	bustest.StopsAtAnyMoment(t, func(ctx context.Context) error {
		root := cli.New()
		root.SetArgs([]string{"events", "--follow", "--nats-url", "nats://127.0.0.1:1"})
		return root.ExecuteContext(ctx)
	})
}
