// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

func (b *bundle) timeouts(t *testing.T) {
	t.Helper()
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.TimeoutConsumer, Source: "watcher"}))
}

// overdueSince is the first event of a chain whose timer is due: its deadline
// has passed by more than the grace.
func overdueSince(uid string, ago time.Duration) events.Event {
	e := requested(uid)
	e.Operation.Deadline = time.Now().Add(-ago).UTC()
	return e
}

func TestAStepThatNobodyDoesIsFailed(t *testing.T) {
	t.Parallel()
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			b.timeouts(t)
			first, err := b.chain.Begin(b.ctx, overdueSince("u1", time.Minute))
			require.NoError(t, err)
			failed := b.becomes(t, first, events.Failed)
			require.Equal(t, "watcher", failed.Source)
			require.Equal(t, events.Failure{Step: "pause", Object: "Singlestore demo/db", Reason: "DeadlineExceeded",
				Message: `nobody answered "requested" within 1h0m0s: is the service that does it running?`}, *failed.Operation.Failure)
			b.idle(t, events.TimeoutConsumer)
		})
	}
}

// A chain has one timer, whichever of its facts set it.
func TestAChainHasOneTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	paused := b.follow(t, b.begin(t, "u1"), events.Paused)
	require.Equal(t, []string{paused.ChainKey().Timeout(events.Paused)}, b.timers(t))
}

// timers are the targets of the pending timers.
func (b *bundle) timers(t *testing.T) []string {
	t.Helper()
	stream, err := b.bus.JetStream().Stream(b.ctx, events.TimerStream)
	require.NoError(t, err)
	info, err := stream.Info(b.ctx, jetstream.WithSubjectFilter("opsrelay.timer.>"))
	require.NoError(t, err)
	var targets []string
	for subject := range info.State.Subjects {
		message, err := stream.GetLastMsgForSubject(b.ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // what removed a timer has gone meanwhile
		}
		require.NoError(t, err)
		targets = append(targets, message.Header.Get(jetstream.ScheduleTargetHeader))
	}
	return targets
}

// due has the broker tell that a timer set for the fact is due.
func (b *bundle) due(t *testing.T, e events.Event, fact events.Fact) {
	t.Helper()
	_, err := b.bus.JetStream().PublishMsg(b.ctx, nats.NewMsg(e.ChainKey().Timeout(fact)))
	require.NoError(t, err)
}

// A timer that is due too early, for its chain went on or its event was never
// stored, is set for what the chain ends with.
func TestATimerThatIsDueTooEarlyIsSetAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1")
	paused := b.follow(t, first, events.Paused)
	stream, err := b.bus.JetStream().Stream(b.ctx, events.TimerStream)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(b.ctx))
	b.timeouts(t)
	b.due(t, first, events.Requested)
	b.idle(t, events.TimeoutConsumer)
	require.Equal(t, []string{paused.ChainKey().Timeout(events.Paused)}, b.timers(t))
	require.Equal(t, paused, b.last(t, first))
}

// What ends a chain removes its timer, and leaves nothing in its place.
func TestAFinishedChainHasNoTimer(t *testing.T) {
	t.Parallel()
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			other := b.begin(t, "u2")
			cancelled := b.follow(t, b.begin(t, "u1"), events.Cancelled)
			require.Len(t, b.timers(t), 2)
			b.follow(t, cancelled, events.Resumed)
			require.Eventually(t, func() bool { return len(b.timers(t)) == 1 }, patience, tick, "the timer stays")
			require.Equal(t, []string{other.ChainKey().Timeout(events.Requested)}, b.timers(t))
			_, err := b.chain.Begin(b.ctx, rejected("u3"))
			require.NoError(t, err)
			require.Len(t, b.timers(t), 1, "what never begins needs no timer")
		})
	}
}

// rejected is a request that never begins.
func rejected(uid string) events.Event {
	return events.First(events.Rejected, "singlestore", requested(uid).Operation)
}

// Nobody would notice that the worker died of an event without a timer: it is
// published again until it has one.
func TestAnEventWithoutATimerIsPublishedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1")
	require.NoError(t, b.bus.JetStream().DeleteStream(b.ctx, events.TimerStream))
	_, err := b.chain.Follow(b.ctx, first, first.Next(events.Paused))
	require.ErrorContains(t, err, "set the timer")
	paused := b.last(t, first)
	require.Equal(t, events.Paused, paused.Fact)

	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1))
	again, err := b.chain.Follow(b.ctx, first, first.Next(events.Paused))
	require.NoError(t, err)
	require.Equal(t, paused, again)
	require.Equal(t, []string{paused.ChainKey().Timeout(events.Paused)}, b.timers(t))
}

// A worker does not acknowledge what it answered while the answer has no timer.
func TestAWorkerWaitsForTheTimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1") // its timer is set before the stream is gone
	run(t, b.runner(answering(events.Requested, func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
		return e.Next(events.Paused), b.bus.JetStream().DeleteStream(b.ctx, events.TimerStream)
	})))
	paused := b.becomes(t, first, events.Paused)
	c, err := b.bus.JetStream().Consumer(b.ctx, events.Stream, events.PauserConsumer.Name)
	require.NoError(t, err)
	require.Equal(t, 1, c.CachedInfo().NumAckPending)
	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1))
	b.idle(t, events.PauserConsumer)
	require.Equal(t, []string{paused.ChainKey().Timeout(events.Paused)}, b.timers(t))
	require.Equal(t, paused, b.last(t, paused))
}

func TestATimerOfAFinishedChainDoesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resumed := b.follow(t, b.follow(t, b.begin(t, "u1"), events.Cancelled), events.Resumed)
	b.timeouts(t)
	b.due(t, resumed, events.Cancelled)
	b.due(t, requested("nobody"), events.Requested)
	b.idle(t, events.TimeoutConsumer)
	require.Equal(t, resumed, b.last(t, resumed))
}

// Only resumed may follow failed; the timer can but remind.
func TestATimerRemindsOfADatabaseThatNobodyResumes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1")
	next := first.Failed(events.Failure{Reason: "Refused"})
	next.Operation.Deadline = time.Now().Add(-time.Minute).UTC()
	failed, err := b.chain.Follow(b.ctx, first, next)
	require.NoError(t, err)
	b.timeouts(t)
	require.Eventually(t, func() bool { return len(b.timers(t)) == 1 }, patience, tick)
	b.idle(t, events.TimeoutConsumer)
	require.Equal(t, failed, b.last(t, first))
}
