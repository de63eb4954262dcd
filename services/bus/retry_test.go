// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// A step that panics, or answers what it must not, is tried again as often as the request allows, and no
// oftener.
func TestMaxRetries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	op := requested("u1").Operation
	op.MaxRetries = 2
	var calls atomic.Int32
	run(t, b.runner(answering(events.Requested, func(context.Context, events.Event, bus.Confirm) (events.Event, error) {
		panic(fmt.Sprintf("attempt %d is no good", calls.Add(1)))
	})))
	first, err := b.chain.Begin(b.ctx, events.First(events.Requested, "singlestore", op))
	require.NoError(t, err)
	failure := b.becomes(t, first, events.Failed).Operation.Failure
	require.Equal(t, "RetriesExhausted", failure.Reason)
	require.Equal(t, "failed 3 times, and spec.maxRetries is 2: a defect of the step: it panicked: attempt 3 is no good", failure.Message)
	require.EqualValues(t, 3, calls.Load())
}

// An API server that is away, throttles, or has something newer makes no request
// fail, however often.
func TestF53_TheSurroundingsAreWaitedOut(t *testing.T) {
	t.Parallel()
	conflict := errors.New("409 Conflict")
	for name, err := range map[string]error{
		"a class of its own": conflict,
		"connection":         errors.New("http2: client connection lost"),
		"broker":             nats.ErrReconnectBufExceeded,
		"broker's rights":    nats.ErrPermissionViolation,
		"not yet":            bus.NotYet(time.Millisecond, "the pod is not gone"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			op := requested("u1").Operation
			op.MaxRetries = 0
			calls := 0
			retry := func(err error) (bus.Retry, bool) {
				return bus.Retry{Class: "conflict", Delays: []time.Duration{time.Millisecond}, After: 2 * time.Millisecond}, errors.Is(err, conflict)
			}
			run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Source: "pauser", Retry: retry, Step: answering(events.Requested, func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
				if calls++; calls <= 3 {
					return events.Event{}, fmt.Errorf("pause: %w", err)
				}
				return e.Next(events.Paused), nil
			})}))
			first, err := b.chain.Begin(b.ctx, events.First(events.Requested, "singlestore", op))
			require.NoError(t, err)
			b.becomes(t, first, events.Paused)
		})
	}
}

// Failed and cancelled must be answered: no failure of the pauser, and no number
// of them, leaves the database paused.
func TestF07_AFailedCompensationIsTriedUntilItSucceeds(t *testing.T) {
	t.Parallel()
	for _, fact := range []events.Fact{events.Failed, events.Cancelled} {
		t.Run(string(fact), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			op := requested("u1").Operation
			op.MaxRetries = 0
			first, err := b.chain.Begin(b.ctx, events.First(events.Requested, "singlestore", op))
			require.NoError(t, err)
			last := b.follow(t, first, fact)
			calls := 0
			run(t, b.runner(answering(fact, func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
				switch calls++; calls {
				case 1:
					return events.Event{}, errors.New("an error of its own")
				case 2:
					return events.Event{}, bus.Permanent(events.Failure{Step: "resume", Object: "Singlestore demo/db", Reason: "No"})
				case 3:
					panic("a defect")
				default:
					return e.Next(events.Resumed), nil
				}
			})))
			b.becomes(t, last, events.Resumed)
		})
	}
}
