// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
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
			b.wait(t, 1) // failed is to be answered, too
		})
	}
}

// waiting is how many facts the broker is to give again when their time has come.
func (b *bundle) waiting(t *testing.T) int {
	t.Helper()
	c, err := b.bus.JetStream().Consumer(b.ctx, events.Stream, events.TimeoutConsumer.Name)
	require.NoError(t, err)
	if c.CachedInfo().NumPending > 0 {
		return -1 // not all were given once
	}
	return c.CachedInfo().NumAckPending
}

// wait waits until the broker is to give that many facts again.
func (b *bundle) wait(t *testing.T, facts int) {
	t.Helper()
	require.Eventually(t, func() bool { return b.waiting(t) == facts }, patience, tick, "not %d facts wait", facts)
}

// soon is the first event of a chain whose timer is due in a few seconds.
func soon(uid string) events.Event { return overdueSince(uid, 7*time.Second) }

// Whatever is stored and may be answered has a timer from then on.
func TestEveryFactThatWaitsHasATimer(t *testing.T) {
	t.Parallel()
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			b.timeouts(t)
			cancelled := b.follow(t, b.begin(t, "u1"), events.Cancelled)
			b.follow(t, cancelled, events.Resumed)
			_, err := b.chain.Begin(b.ctx, rejected("u2"))
			require.NoError(t, err)
			b.wait(t, 2)
			b.follow(t, b.begin(t, "u3"), events.Paused)
			b.wait(t, 4)
		})
	}
}

// rejected is a request that never begins.
func rejected(uid string) events.Event {
	return events.First(events.Rejected, "singlestore", requested(uid).Operation)
}

// It waits in the broker, whatever becomes of who sent it back, and is due some
// time after the deadline: the worker itself comes first.
func TestATimerIsDueAfterTheDeadline(t *testing.T) {
	t.Parallel()
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			watcher := b.bus.NewRunner(bus.RunnerConfig{Consumer: events.TimeoutConsumer, Source: "watcher"})
			stop := run(t, watcher)
			first, err := b.chain.Begin(b.ctx, soon("u1"))
			require.NoError(t, err)
			b.wait(t, 1)
			stop()
			b.timeouts(t)
			failed := b.becomes(t, first, events.Failed)
			require.False(t, failed.Time.Before(first.Operation.Deadline.Add(5*time.Second)), "it came too early")
			b.wait(t, 1) // failed is to be answered, too
		})
	}
}

// The delay is the broker's to remember, also while it is down.
func TestATimerOutlivesTheBroker(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	broker := func() (*server.Server, *bundle) {
		srv := bustest.StartIn(t, &server.Options{DontListen: true}, directory)
		c := bustest.ConnectTo(t, srv, "test")
		b := &bundle{bus: c, chain: c.Chain("watcher"), ctx: bustest.Context(t)}
		require.NoError(t, bus.Provision(b.ctx, c.JetStream(), 1))
		return srv, b
	}
	srv, b := broker()
	stop := run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.TimeoutConsumer, Source: "watcher"}))
	first, err := b.chain.Begin(b.ctx, soon("u1"))
	require.NoError(t, err)
	later := b.begin(t, "u2")
	b.wait(t, 2)
	stop()
	require.NoError(t, b.bus.Close(b.ctx))
	srv.Shutdown()
	srv.WaitForShutdown()

	_, b = broker()
	b.timeouts(t)
	b.becomes(t, first, events.Failed)
	require.Equal(t, events.Requested, b.last(t, later).Fact)
	b.wait(t, 2)
}

func TestATimerOfAFinishedChainDoesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, err := b.chain.Begin(b.ctx, overdueSince("u1", time.Minute))
	require.NoError(t, err)
	resumed := b.follow(t, b.follow(t, first, events.Cancelled), events.Resumed)
	b.timeouts(t)
	b.wait(t, 1) // cancelled had an hour
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
	b.wait(t, 2)
	require.Equal(t, failed, b.last(t, first))
}

func TestTheChainsThatHaveNotEndedAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1")
	b.follow(t, b.follow(t, b.begin(t, "u2"), events.Cancelled), events.Resumed)
	_, err := b.chain.Begin(b.ctx, rejected("u3"))
	require.NoError(t, err)
	paused := b.follow(t, b.begin(t, "u4"), events.Paused)
	unfinished, err := b.chain.Unfinished(b.ctx)
	require.NoError(t, err)
	require.ElementsMatch(t, []events.ChainKey{first.ChainKey(), paused.ChainKey()}, unfinished)
}
