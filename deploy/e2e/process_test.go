// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// Every service is a process with probes and metrics, and ends well when it is
// asked to.
func TestProbesAndMetrics(t *testing.T) {
	notrun.SkipShort(t)
	for _, service := range append(append([]string{}, stack.Relay...), stack.KubeDB...) {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			var log bytes.Buffer
			cmd := exec.CommandContext(t.Context(), binary, service, "--http-address", address,
				"--kubeconfig", shared.Cluster.Kubeconfig, "--as", "system:serviceaccount:opsrelay:"+service)
			cmd.Env = append(cmd.Environ(), "OPSRELAY_NATS_URL="+shared.NATS)
			cmd.Stderr = &log
			require.NoError(t, cmd.Start())

			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			get := func(path string) (int, string) {
				response, err := client.Get("http://" + address + path)
				if err != nil {
					return 0, err.Error()
				}
				defer func() { require.NoError(t, response.Body.Close()) }()
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				return response.StatusCode, string(body)
			}
			require.Eventually(t, func() bool { code, _ := get("/readyz"); return code == http.StatusOK }, patience, 20*time.Millisecond)
			code, body := get("/livez")
			require.Equal(t, http.StatusOK, code, body)
			code, body = get("/metrics")
			require.Equal(t, http.StatusOK, code)
			require.Contains(t, body, "opsrelay_build_info")

			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			require.NoError(t, cmd.Wait(), log.String())
			require.NotContains(t, log.String(), "DATA RACE")
		})
	}
}

// A service that cannot reach what it needs says what to do.
func TestProcessErrorsSayWhatToDo(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	cases := []struct {
		name string
		args []string
		says string
	}{
		{"no kubeconfig", []string{"pauser", "--kubeconfig=/nonexistent"}, "--kubeconfig"},
		{"unknown level", []string{"pauser", "--log-level=loud"}, "--log-level"},
		{"unknown flag", []string{"pauser", "--speed=high"}, "unknown flag: --speed"},
		{"unknown command", []string{"dance"}, "unknown command"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), binary, c.args...).CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), c.says)
		})
	}
}

// freeAddress is an address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}
