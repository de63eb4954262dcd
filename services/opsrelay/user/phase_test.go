// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/opsrelay/user"
)

// run runs one command.
func run(ctx context.Context, args ...string) (string, error) {
	root := &cobra.Command{Use: "opsrelay", SilenceUsage: true, SilenceErrors: true}
	root.AddGroup(&cobra.Group{ID: user.Group, Title: user.Group})
	root.AddCommand(user.Commands()...)
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

func TestPauseAndResumePhase(t *testing.T) {
	t.Parallel()
	ctx := bustest.Context(t)
	srv := bustest.Start(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT})
	js := bustest.ConnectTo(t, srv, "test").JetStream()
	require.NoError(t, bus.Provision(ctx, js, 1))
	paused := func() bool {
		consumer, err := js.Consumer(ctx, events.Stream, "expander")
		require.NoError(t, err)
		return consumer.CachedInfo().Paused
	}

	text, err := run(ctx, "pause-phase", "expander", "--for", "1h", "--nats-url", srv.ClientURL())
	require.NoError(t, err)
	require.Contains(t, text, "expander gets no work until ")
	require.True(t, paused())

	require.NoError(t, bus.Provision(ctx, js, 1), "an upgrade in the middle")
	require.True(t, paused(), "provisioning ends no pause")

	text, err = run(ctx, "resume-phase", "expander", "--nats-url", srv.ClientURL())
	require.NoError(t, err)
	require.Equal(t, "expander gets work\n", text)
	require.False(t, paused())
}

func TestPausePhaseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, message string }{
		{"watcher --for=1h", `"watcher" is no phase; there are [pauser expander updater]`},
		{"expander --for=-1h", "the pause would have ended at "},
		{"expander --until=2020-01-01T00:00:00Z", "the pause would have ended at "},
		{"expander --until=tomorrow", "--until: "},
		{"expander", "at least one of the flags"},
	} {
		args := append([]string{"pause-phase"}, strings.Fields(c.args)...)
		_, err := run(bustest.Context(t), args...)
		require.ErrorContains(t, err, c.message, c.args)
	}
}
