// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// scribble stores what nobody can read as a fact of the chain.
func (b *bundle) scribble(t *testing.T, key events.ChainKey, fact events.Fact) uint64 {
	t.Helper()
	ack, err := b.bus.JetStream().PublishMsg(b.ctx, &nats.Msg{Subject: key.Subject(fact), Data: []byte("no event")})
	require.NoError(t, err)
	return ack.Sequence
}

// A chain whose end nobody can read has failed, whichever fact that claims to be:
// its target is resumed, and nothing is stuck.
func TestD13_AnUnreadableEndOfAChainIsAFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before  []events.Fact
		claims  events.Fact
		outcome events.Outcome
	}{
		"failed":                {[]events.Fact{events.Paused}, events.Failed, events.OutcomeFailed},
		"a step's answer":       {[]events.Fact{events.Paused}, events.Expanded, events.OutcomeFailed},
		"resumed":               {[]events.Fact{events.Paused, events.Expanded, events.Updated}, events.Resumed, events.OutcomeFailed},
		"an unknown fact":       {nil, "inspected", events.OutcomeFailed},
		"behind a cancellation": {[]events.Fact{events.Cancelled}, events.Failed, events.OutcomeCancelled},
		"behind a failure":      {[]events.Fact{events.Failed}, events.Resumed, events.OutcomeFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			last := b.begin(t, "u1")
			for _, fact := range c.before {
				next := last.Next(fact)
				if fact == events.Failed {
					next = last.Failed(events.Failure{Reason: "Refused"})
				}
				var err error
				last, err = b.chain.Follow(b.ctx, last, next)
				require.NoError(t, err)
			}
			b.scribble(t, last.ChainKey(), c.claims)
			require.Contains(t, []events.Fact{events.Failed, events.Cancelled}, b.last(t, last).Fact)

			run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.WatcherConsumer, Source: "watcher", Observer: true,
				Step: bus.StepFunc(func(context.Context, events.Event, bus.Confirm) (events.Event, error) { return events.Event{}, nil })}))
			run(t, b.deadLetters(t))
			run(t, b.runner(bus.StepFunc(func(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
				if err := confirm(ctx); err != nil {
					return events.Event{}, err
				}
				if e.Fact == events.Failed || e.Fact == events.Cancelled {
					return e.Next(events.Resumed), nil
				}
				<-ctx.Done()
				return events.Event{}, context.Cause(ctx)
			})))
			resumed := b.becomes(t, last, events.Resumed)
			require.Equal(t, c.outcome, resumed.Operation.Outcome)
			require.Equal(t, last.Operation.Database, resumed.Operation.Database)
			if len(c.before) == 0 || c.before[len(c.before)-1] != events.Cancelled {
				require.NotNil(t, resumed.Operation.Failure)
			}
			b.idle(t, events.PauserConsumer)
			b.idle(t, events.WatcherConsumer)
		})
	}
}

// What is unreadable from its first message is a chain that nobody has begun.
func TestD13_AChainBeginsBehindWhatIsUnreadable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := requested("u1").ChainKey()
	b.scribble(t, key, events.Requested)
	_, err := b.chain.Last(b.ctx, key)
	require.ErrorIs(t, err, bus.ErrNoChain)
	run(t, b.deadLetters(t))
	run(t, b.runner(answering(events.Requested, pauser)))
	b.becomes(t, b.begin(t, "u1"), events.Paused)
	b.idle(t, events.PauserConsumer)
	b.idle(t, events.DeadLetterConsumer)
}

// Behind the end of a chain nothing is begun again.
func TestD13_WhatIsScribbledBehindTheEndOfAChainChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rejected, err := b.chain.Begin(b.ctx, rejected("u1"))
	require.NoError(t, err)
	b.scribble(t, rejected.ChainKey(), events.Failed)
	require.Equal(t, events.Rejected, b.last(t, rejected).Fact)
	run(t, b.deadLetters(t))
	require.NoError(t, b.deliver(t, events.PauserConsumer).TermWithReason("no event"))
	b.idle(t, events.DeadLetterConsumer)
	require.Equal(t, events.Rejected, b.last(t, rejected).Fact)
}
