// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/safely"
)

// A consumer that is recreated, or a dead letter that is replayed, delivers for the
// first time what was answered long ago: an overdue event is looked at before it
// is failed, and a request that is alive keeps what it holds.
func TestD01_AFirstDeliveryOfAnOverdueEventLeavesALiveChainAlone(t *testing.T) {
	t.Parallel()
	for name, facts := range map[string][]events.Fact{
		"one step further": {events.Paused},
		"far further":      {events.Paused, events.Expanded, events.Updated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			last, err := b.chain.Begin(b.ctx, overdueSince("u1", time.Hour))
			require.NoError(t, err)
			for _, fact := range facts {
				last = b.follow(t, last, fact)
			}
			step := &sweeper{}
			run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: onlyRequested{step}, Source: "pauser"}))
			b.idle(t, events.PauserConsumer)
			require.Equal(t, last, b.last(t, last))
			require.Zero(t, step.handled.Load(), "the step was called")
			require.Zero(t, step.released.Load(), "what a live request holds was taken from it")
		})
	}
}

// onlyRequested leaves the other facts of its consumer alone.
type onlyRequested struct{ *sweeper }

func (s onlyRequested) Handle(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
	if e.Fact != events.Requested {
		return events.Event{}, nil
	}
	return s.sweeper.Handle(ctx, e, confirm)
}

// sweeper is a step that fails for good, and cannot let go while it is told so.
type sweeper struct {
	handled, released atomic.Int32
	last              atomic.Value // the last event that Release was told
	stuck             atomic.Bool
}

func (k *sweeper) Handle(context.Context, events.Event, bus.Confirm) (events.Event, error) {
	k.handled.Add(1)
	return events.Event{}, bus.Permanent(events.Failure{Step: "expand", Object: "StatefulSet demo/db", Reason: "RecreateRefused", Message: "a quota says no"})
}

func (k *sweeper) Release(_ context.Context, _, last events.Event) error {
	k.released.Add(1)
	if k.stuck.Load() {
		return errors.New("cannot let go")
	}
	k.last.Store(last.Fact)
	return nil
}

// The failure is stored before anything is let go of: while that fails, the reason
// is known, the request can be resumed, and no timer has another. The event stays
// in progress, so that nobody believes its worker to be idle.
func TestD04_FailedIsStoredWhileTheStepCannotLetGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	step := &sweeper{}
	step.stuck.Store(true)
	run(t, b.expander(step))
	b.timeouts(t)
	paused := b.follow(t, b.begin(t, "u1"), events.Paused)
	failed := b.becomes(t, paused, events.Failed)
	require.Equal(t, "a quota says no", failed.Operation.Failure.Message)
	require.Eventually(t, func() bool { return step.released.Load() > 2 }, patience, tick, "letting go is not tried again")
	b.wait(t, 3)
	require.Equal(t, failed, b.last(t, failed))
	c, err := b.bus.JetStream().Consumer(b.ctx, events.Stream, events.ExpanderConsumer.Name)
	require.NoError(t, err)
	require.Equal(t, 1, c.CachedInfo().NumAckPending, "a worker that holds something looks idle")
	resumed := b.follow(t, failed, events.Resumed)
	step.stuck.Store(false)
	b.idle(t, events.ExpanderConsumer)
	require.Equal(t, resumed, b.last(t, resumed))
	require.EqualValues(t, 1, step.handled.Load())
}

// A worker that dies between failed and letting go leaves that to the next one.
func TestD04_ARedeliveryLetsGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bustest.AckWait(t, b.bus, events.ExpanderConsumer, shortAckWait)
	paused := b.follow(t, b.begin(t, "u1"), events.Paused)
	b.deliver(t, events.ExpanderConsumer)
	b.follow(t, paused, events.Failed)
	step := &sweeper{}
	run(t, b.expander(step))
	b.idle(t, events.ExpanderConsumer)
	require.Zero(t, step.handled.Load())
	require.EqualValues(t, 1, step.released.Load())
	require.Equal(t, events.Failed, step.last.Load())
}

// A panic in any goroutine of a step is that step's failure, counts against
// spec.maxRetries, and is nobody else's.
func TestD15_APanicInAGoroutineOfAStepIsItsFailure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	step := bus.StepFunc(func(ctx context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
		group, ctx := safely.NewGroup(ctx)
		group.Go(func() error {
			if e.Operation.Request.UID == "bad" {
				panic("a defect")
			}
			return nil
		})
		group.Go(func() error { return ctx.Err() })
		return e.Next(events.Expanded), group.Wait()
	})
	run(t, b.expander(step))
	bad := b.follow(t, b.begin(t, "bad"), events.Paused)
	good := b.follow(t, b.begin(t, "good"), events.Paused)
	b.becomes(t, good, events.Expanded)
	failure := b.becomes(t, bad, events.Failed).Operation.Failure
	require.Equal(t, "RetriesExhausted", failure.Reason)
	require.Equal(t, "failed 6 times, and spec.maxRetries is 5: a defect of the step: it panicked: a defect", failure.Message)
}
