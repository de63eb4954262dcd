// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

func TestConnectSaysWhatToCheck(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := bus.Connect(ctx, bus.Config{Name: "pauser", URL: "nats://127.0.0.1:1"})
	require.ErrorContains(t, err, "connect to NATS at nats://127.0.0.1:1 as pauser")
	require.ErrorContains(t, err, "check the address")
	_, err = bus.Connect(t.Context(), bus.Config{Name: "pauser", NKeyFile: "/nowhere"})
	require.ErrorContains(t, err, "read NATS key /nowhere")
}

func TestProvisionMayBeRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 {
		require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1))
	}
	for _, consumer := range events.Consumers() {
		_, err := b.bus.JetStream().Consumer(b.ctx, consumer.Stream, consumer.Name)
		require.NoError(t, err)
	}
}

func TestProvisionSaysHowToGetOutOfADifference(t *testing.T) {
	t.Parallel()
	b := bustest.ConnectTo(t, bustest.Server(t), "test")
	config := events.Streams(1)[0]
	config.Retention = jetstream.WorkQueuePolicy
	_, err := b.JetStream().CreateStream(t.Context(), config)
	require.NoError(t, err)
	require.ErrorContains(t, bus.Provision(t.Context(), b.JetStream(), 1), "nats stream rm OPSRELAY")
}

// What may change is changed in place, also by hand, and put right again.
func TestProvisionBringsSettingsUpToDate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	js := b.bus.JetStream()
	stream := events.Streams(1)[0]
	stream.MaxAge, stream.Description = time.Hour*2, "something else"
	_, err := js.UpdateStream(b.ctx, stream)
	require.NoError(t, err)
	bustest.AckWait(t, b.bus, events.PauserConsumer, time.Minute)
	first := b.begin(t, "u1")

	require.NoError(t, bus.Provision(b.ctx, js, 1))
	updated, err := js.Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	require.Equal(t, events.Retention, updated.CachedInfo().Config.MaxAge)
	consumer, err := js.Consumer(b.ctx, events.Stream, events.PauserConsumer.Name)
	require.NoError(t, err)
	require.Equal(t, events.AckWait, consumer.CachedInfo().Config.AckWait)
	require.Equal(t, first, b.last(t, first), "provisioning lost an event")
}

func TestProvisionSaysHowToGetOutOfAConsumersDifference(t *testing.T) {
	t.Parallel()
	b := setup(t)
	js := b.bus.JetStream()
	require.NoError(t, js.DeleteConsumer(b.ctx, events.Stream, events.PauserConsumer.Name))
	config := events.PauserConsumer.Config()
	config.DeliverPolicy = jetstream.DeliverNewPolicy
	_, err := js.CreateConsumer(b.ctx, events.Stream, config)
	require.NoError(t, err)
	err = bus.Provision(b.ctx, js, 1)
	require.ErrorContains(t, err, "consumer pauser of stream OPSRELAY")
	require.ErrorContains(t, err, "nats consumer rm OPSRELAY pauser")
}

// A broker that is away is waited for, and meanwhile the process is not ready.
func TestReadyTellsOfABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT})
	b, err := bus.Connect(bustest.Context(t), bus.Config{Name: "test", URL: srv.ClientURL()})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = b.Close(ctx) // not connected: it cannot drain
	})
	require.NoError(t, bus.Provision(bustest.Context(t), b.JetStream(), 1))
	runner := b.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: pauser, Source: "pauser"})
	run(t, runner)
	require.Eventually(t, func() bool { return runner.Ready() == nil }, patience, tick)
	srv.Shutdown()
	require.Eventually(t, func() bool { return runner.Ready() != nil }, patience, tick)
	require.ErrorContains(t, runner.Ready(), "not connected to NATS: RECONNECTING")
	require.NoError(t, runner.Live(), "a restart would not help")
	select {
	case <-b.Closed():
		require.Fail(t, "the connection was given up")
	default:
	}
}

func TestReadyTellsOfAClosedConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.bus.Ready())
	require.NoError(t, b.bus.Close(b.ctx))
	require.ErrorContains(t, b.bus.Ready(), "not connected")
	receive(t, b.bus.Closed())
}
