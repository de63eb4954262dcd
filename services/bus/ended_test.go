// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

func TestALostRaceIsReleasedAndAcknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	released := make(chan events.Event, 1)
	run(t, b.runner(&stepAndRelease{
		handle: func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
			b.follow(t, e, events.Cancelled) // somebody else is faster
			return e.Next(events.Paused), nil
		},
		release: func(last events.Event) { released <- last },
	}))
	first := b.begin(t, "u1")
	require.Equal(t, events.Cancelled, receive(t, released).Fact)
	require.Equal(t, []events.Fact{events.Requested, events.Cancelled}, facts(b.last(t, first)))
}

// stepAndRelease answers requested only, so that it can lose a chain to cancelled.
type stepAndRelease struct {
	handle  bus.StepFunc
	release func(last events.Event)
}

func (s *stepAndRelease) Handle(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
	if e.Fact != events.Requested {
		return events.Event{}, nil
	}
	return s.handle(ctx, e, confirm)
}

func (s *stepAndRelease) Release(_ context.Context, _, last events.Event) error {
	s.release(last)
	return nil
}

func TestAStepEndsWithItsChain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	step := newHolder()
	run(t, b.expander(step))
	paused := b.follow(t, b.begin(t, "u1"), events.Paused)
	receive(t, step.began)
	b.follow(t, paused, events.Cancelled)
	require.ErrorIs(t, receive(t, step.ended), bus.ErrChainEnded)
	require.Equal(t, paused.ID(), receive(t, step.released).ID())
	b.idle(t, events.ExpanderConsumer)
}

// The live feed is at most once: what it did not say is found after a reconnect.
func TestAnEndThatWasMissedIsFoundAfterAReconnect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	silent := events.Streams(1)[0]
	silent.RePublish = nil
	_, err := b.bus.JetStream().UpdateStream(b.ctx, silent)
	require.NoError(t, err)
	step := newHolder()
	run(t, b.expander(step))
	paused := b.follow(t, b.begin(t, "u1"), events.Paused)
	receive(t, step.began)
	b.follow(t, paused, events.Cancelled)
	require.NoError(t, b.bus.JetStream().Conn().ForceReconnect())
	require.ErrorIs(t, receive(t, step.ended), bus.ErrChainEnded)
	receive(t, step.released)
	b.idle(t, events.ExpanderConsumer)
}

// A fact that ends other steps is itself answered, by a step that must not be
// ended by it.
func TestTheAnswerToAFailureIsNotEndedByIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run(t, b.runner(bus.StepFunc(func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
		if e.Fact == events.Requested {
			return events.Event{}, bus.Permanent(events.Failure{Step: "pause", Reason: "Refused"})
		}
		return e.Next(events.Resumed), nil
	})))
	for _, uid := range []string{"a", "b", "c", "d", "e"} {
		first := b.begin(t, uid)
		last := b.becomes(t, first, events.Resumed)
		require.Equal(t, events.OutcomeFailed, last.Operation.Outcome)
		require.Equal(t, "Refused", last.Operation.Failure.Reason)
	}
	b.idle(t, events.PauserConsumer)
}
