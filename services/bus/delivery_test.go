// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// Another worker has stored the very same answer: the event is answered, and
// nothing is released.
func TestOursAlreadyIsAcknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	registry := prometheus.NewRegistry()
	step := &twin{bundle: b, t: t}
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: step, Source: "pauser", Registerer: registry}))
	paused := b.becomes(t, b.begin(t, "u1"), events.Paused)
	b.idle(t, events.PauserConsumer)
	require.Equal(t, "watcher", paused.Source, "the twin was not first")
	require.Equal(t, paused, b.last(t, paused))
	require.Zero(t, step.released.Load())
	require.Eventually(t, func() bool {
		return counters(t, registry, "opsrelay_messages_handled_total")["pauser published"] == 1
	}, patience, tick)
	require.Equal(t, map[string]float64{"requested stored": 1, "paused stored": 1, "paused duplicate": 1},
		counters(t, registry, "opsrelay_events_published_total"), "who is the first to be measured measures the whole connection")
}

// twin is a pauser of whom a second one is always faster.
type twin struct {
	*bundle
	t        *testing.T
	released atomic.Int32
}

func (s *twin) Handle(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
	s.follow(s.t, e, events.Paused)
	return e.Next(events.Paused), nil
}

func (s *twin) Release(context.Context, events.Event, events.Event) error {
	s.released.Add(1)
	return nil
}

// What is handed over comes at once, as a second delivery.
func TestAHandOverIsASecondDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	leaving := newHolder()
	stop := run(t, b.runner(leaving))
	first := b.begin(t, "u1")
	receive(t, leaving.began)
	began := time.Now()
	stop()
	msg := b.deliver(t, events.PauserConsumer)
	require.Less(t, time.Since(began), events.AckWait/3, "the event was not handed over")
	meta, err := msg.Metadata()
	require.NoError(t, err)
	require.EqualValues(t, 2, meta.NumDelivered)
	require.Equal(t, first.Sequence, meta.Sequence.Stream)
	require.Equal(t, first, b.last(t, first), "a hand-over publishes nothing")
	require.NoError(t, msg.Ack())
}

// With two places, five events are handled two at a time, and the broker has
// never delivered one that is not worked on.
func TestTwoAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	step := newHolder()
	for _, uid := range []string{"a", "b", "c", "d", "e"} {
		b.begin(t, uid)
	}
	var working, most atomic.Int32
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Source: "pauser", Concurrency: 2,
		Step: bus.StepFunc(func(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
			now := working.Add(1)
			defer working.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			return step.Handle(ctx, e, confirm)
		})}))
	c, err := b.bus.JetStream().Consumer(b.ctx, events.Stream, events.PauserConsumer.Name)
	require.NoError(t, err)
	receive(t, step.began)
	for begun := 2; begun <= 5; begun++ {
		receive(t, step.began)
		info, err := c.Info(b.ctx)
		require.NoError(t, err)
		require.LessOrEqual(t, info.NumAckPending, 2, "a message was pulled that nobody works on")
		require.EqualValues(t, 5-begun, info.NumPending)
		step.goOn <- struct{}{}
	}
	step.goOn <- struct{}{}
	b.idle(t, events.PauserConsumer)
	require.EqualValues(t, 2, most.Load())
}
