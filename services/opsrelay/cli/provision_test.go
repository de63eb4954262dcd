// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/opsrelay/cli"
)

// What cannot be changed in place is left as it is, and the error names it and
// the way out, which works.
func TestProvisionSaysHowToGetPastWhatCannotBeChanged(t *testing.T) {
	t.Parallel()
	stream := func(i int, change func(*jetstream.StreamConfig)) func(context.Context, jetstream.JetStream) error {
		return func(ctx context.Context, js jetstream.JetStream) error {
			config := events.Streams(1)[i]
			change(&config)
			_, err := js.CreateStream(ctx, config)
			return err
		}
	}
	removeStream := func(name string) func(context.Context, jetstream.JetStream) error {
		return func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, name) }
	}
	cases := []struct {
		name string
		// older makes what an older version had, remove is the way out.
		older, remove func(context.Context, jetstream.JetStream) error
		says          []string
	}{
		{
			name:   "storage",
			older:  stream(0, func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }),
			remove: removeStream(events.Stream),
			says:   []string{"provision stream OPSRELAY: it is there and differs", "(nats stream rm OPSRELAY) and provision again", "storage type"},
		},
		{
			name:   "retention",
			older:  stream(1, func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }),
			remove: removeStream(events.ProgressStream),
			says:   []string{"provision stream OPSRELAY_PROGRESS: it is there and differs", "(nats stream rm OPSRELAY_PROGRESS) and provision again", "retention policy"},
		},
		{
			name: "waiting pulls",
			older: func(ctx context.Context, js jetstream.JetStream) error {
				if err := stream(0, func(*jetstream.StreamConfig) {})(ctx, js); err != nil {
					return err
				}
				config := events.PauserConsumer.Config()
				config.MaxWaiting = 100
				_, err := js.CreateConsumer(ctx, events.Stream, config)
				return err
			},
			remove: func(ctx context.Context, js jetstream.JetStream) error {
				return js.DeleteConsumer(ctx, events.Stream, events.PauserConsumer.Name)
			},
			says: []string{"provision consumer pauser of stream OPSRELAY: it is there and differs", "(nats consumer rm OPSRELAY pauser) and provision again", "max waiting"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := bustest.Context(t)
			broker := bustest.Start(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT})
			js := bustest.ConnectTo(t, broker, "test").JetStream()
			require.NoError(t, c.older(ctx, js))
			provision := func() error {
				command := cli.New()
				command.SetArgs([]string{"provision", "--nats-url", broker.ClientURL()})
				command.SetOut(new(bytes.Buffer))
				command.SetErr(new(bytes.Buffer))
				return command.ExecuteContext(ctx)
			}
			err := provision()
			for _, says := range append(c.says, "stop the services") {
				require.ErrorContains(t, err, says)
			}
			require.NoError(t, c.remove(ctx, js))
			require.NoError(t, provision())
		})
	}
}
