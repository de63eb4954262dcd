// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// A message that kills its workers is given up by the broker, and its request
// fails instead of hanging.
func TestARequestWhoseWorkersDieIsFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := events.PauserConsumer.Config()
	config.MaxDeliver, config.AckWait = 2, 100*time.Millisecond
	_, err := b.bus.JetStream().CreateOrUpdateConsumer(b.ctx, events.Stream, config)
	require.NoError(t, err)
	first := b.begin(t, "u1")
	b.deliver(t, events.PauserConsumer)
	b.deliver(t, events.PauserConsumer)
	// The broker notices when it is asked again.
	c, err := b.bus.JetStream().Consumer(b.ctx, events.Stream, events.PauserConsumer.Name)
	require.NoError(t, err)
	_, err = c.Next(jetstream.FetchMaxWait(300 * time.Millisecond))
	require.ErrorIs(t, err, nats.ErrTimeout)

	registry := prometheus.NewRegistry()
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.DeadLetterConsumer, Source: "watcher", Registerer: registry}))
	require.Subset(t, slices.Collect(maps.Keys(counters(t, registry, "opsrelay_dead_letters_total"))), []string{"pauser", "expander", "updater", "watcher", "other"},
		"the increase of a series that begins at one is seen by nobody")
	failed := b.becomes(t, first, events.Failed)
	require.GreaterOrEqual(t, counters(t, registry, "opsrelay_dead_letters_total")["pauser"], 1.0)
	require.Eventually(t, func() bool {
		return counters(t, registry, "opsrelay_consumer_ready")["deadletter"] == 1
	}, patience, tick)
	require.Equal(t, "watcher", failed.Source)
	require.Equal(t, events.Failure{Step: "pause", Object: "Singlestore demo/db", Reason: "GivenUp",
		Message: `"requested" was delivered to the pauser 2 times and never answered: its workers died or were stopped each time; see their log`,
	}, *failed.Operation.Failure)
	b.idle(t, events.DeadLetterConsumer)

	// The database is resumed by the next worker that lives.
	run(t, b.runner(answering(events.Failed, func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
		return e.Next(events.Resumed), nil
	})))
	resumed := b.becomes(t, first, events.Resumed)
	require.Equal(t, events.OutcomeFailed, resumed.Operation.Outcome)
}

// terminate has the broker give up on the consumer's next message.
func (b *bundle) terminate(t *testing.T, consumer events.Consumer) {
	t.Helper()
	require.NoError(t, b.deliver(t, consumer).TermWithReason("it is of a newer version"))
}

func (b *bundle) deadLetters(t *testing.T) *bus.Runner {
	t.Helper()
	return b.bus.NewRunner(bus.RunnerConfig{Consumer: events.DeadLetterConsumer, Source: "watcher"})
}

func TestATerminatedEventFailsItsRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run(t, b.deadLetters(t))
	paused := b.follow(t, b.begin(t, "u1"), events.Paused)
	b.terminate(t, events.ExpanderConsumer)
	failed := b.becomes(t, paused, events.Failed)
	require.Equal(t, events.Failure{Step: "expand", Object: "Singlestore demo/db", Reason: "GivenUp",
		Message: `the expander cannot read "paused": it is of a newer version`}, *failed.Operation.Failure)
}

// A notice about a chain that went on, that must not fail, or that is not kept
// any more is acknowledged, and nothing follows.
func TestDeadLettersThatNeedNoAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(t *testing.T, b *bundle, first events.Event) events.Event{
		"gone on": func(t *testing.T, b *bundle, first events.Event) events.Event {
			t.Helper()
			b.terminate(t, events.PauserConsumer)
			return b.follow(t, first, events.Paused)
		},
		"a resume": func(t *testing.T, b *bundle, first events.Event) events.Event {
			t.Helper()
			require.NoError(t, b.deliver(t, events.PauserConsumer).Ack())
			cancelled := b.follow(t, first, events.Cancelled)
			b.terminate(t, events.PauserConsumer)
			return cancelled
		},
		"not kept": func(t *testing.T, b *bundle, _ events.Event) events.Event {
			t.Helper()
			b.terminate(t, events.PauserConsumer)
			stream, err := b.bus.JetStream().Stream(b.ctx, events.Stream)
			require.NoError(t, err)
			require.NoError(t, stream.Purge(b.ctx))
			return b.begin(t, "u1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			last := c(t, b, b.begin(t, "u1"))
			stream, err := b.bus.JetStream().Stream(b.ctx, events.DeadLetterStream)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				info, err := stream.Info(b.ctx)
				return err == nil && info.State.Msgs == 1
			}, patience, tick)
			run(t, b.deadLetters(t))
			b.idle(t, events.DeadLetterConsumer)
			require.Equal(t, last, b.last(t, last))
		})
	}
}

// What a bystander gave up on, and what is no event, fails nobody.
func TestOtherDeadLettersFailNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.bus.JetStream().PublishMsg(b.ctx, &nats.Msg{Subject: requested("poison").ChainKey().Subject(events.Requested), Data: []byte("no event")})
	require.NoError(t, err)
	first := b.begin(t, "u1")
	for _, consumer := range []events.Consumer{events.WatcherConsumer, events.PauserConsumer} {
		require.NoError(t, b.deliver(t, consumer).TermWithReason("no event"))
	}
	require.NoError(t, b.deliver(t, events.WatcherConsumer).TermWithReason("cannot fold it"))
	stream, err := b.bus.JetStream().Stream(b.ctx, events.DeadLetterStream)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := stream.Info(b.ctx)
		return err == nil && info.State.Msgs == 3
	}, patience, tick)
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.DeadLetterConsumer, Source: "watcher"}))
	b.idle(t, events.DeadLetterConsumer)
	require.Equal(t, first, b.last(t, first))
}
