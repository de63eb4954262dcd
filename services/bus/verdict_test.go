// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// urgent is the first event of a chain whose steps have little time.
func urgent(uid string, timeout time.Duration) events.Event {
	op := requested(uid).Operation
	op.StepTimeout = events.SecondsOf(timeout)
	return events.First(events.Requested, "singlestore", op)
}

func TestATransientErrorIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	calls := 0
	run(t, b.runner(bus.StepFunc(func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
		switch calls++; calls {
		case 1:
			return events.Event{}, errors.New("not just now")
		case 2:
			panic("a defect")
		case 3:
			return e.Next(events.Failed).Next(events.Resumed), nil // must not follow requested
		default:
			return e.Next(events.Paused), nil
		}
	})))
	b.becomes(t, b.begin(t, "u1"), events.Paused)
	b.idle(t, events.PauserConsumer)
	require.Equal(t, 4, calls)
}

func TestAPermanentErrorFailsTheRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	failure := events.Failure{Step: "expand", Object: "PersistentVolumeClaim demo/data-db-0", Reason: "ControllerResizeInfeasible", Message: "no room"}
	run(t, b.expander(bus.StepFunc(func(context.Context, events.Event, bus.Confirm) (events.Event, error) {
		return events.Event{}, fmt.Errorf("expand: %w", bus.Permanent(failure))
	})))
	paused := b.follow(t, b.begin(t, "u1"), events.Paused)
	failed := b.becomes(t, paused, events.Failed)
	require.Equal(t, &failure, failed.Operation.Failure)
	require.Equal(t, "expander", failed.Source)
	b.idle(t, events.ExpanderConsumer)
}

// The failure of a step that ran out of time holds what it said last.
func TestTheDeadlineFailsTheRequestWithTheLastWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step    bus.StepFunc
		message string
	}{
		"waiting with words": {
			func(ctx context.Context, _ events.Event, _ bus.Confirm) (events.Event, error) {
				<-ctx.Done()
				return events.Event{}, fmt.Errorf("paused by somebody else: %w", ctx.Err())
			}, "not done within 3s: paused by somebody else",
		},
		"waiting without words": {
			func(ctx context.Context, _ events.Event, _ bus.Confirm) (events.Event, error) {
				<-ctx.Done()
				return events.Event{}, ctx.Err()
			}, "not done within 3s",
		},
		"failing": {
			func(context.Context, events.Event, bus.Confirm) (events.Event, error) {
				return events.Event{}, errors.New("the API server is away")
			}, "not done within 3s: the API server is away",
		},
		"not yet": {
			func(context.Context, events.Event, bus.Confirm) (events.Event, error) {
				return events.Event{}, bus.NotYet(time.Hour, "the database is not ready")
			}, "not done within 3s: the database is not ready",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			run(t, b.runner(answering(events.Requested, c.step)))
			first, err := b.chain.Begin(b.ctx, urgent("u1", 3*time.Second))
			require.NoError(t, err)
			failed := b.becomes(t, first, events.Failed)
			require.Equal(t, events.Failure{
				Step: "pause", Object: "Singlestore demo/db", Reason: "DeadlineExceeded", Message: c.message,
			}, *failed.Operation.Failure)
		})
	}
}

// A step that is hindered until the deadline fails with what hindered it; if it
// was something else at last, that is no reason any more.
func TestAHindranceIsTheReasonAtTheDeadline(t *testing.T) {
	t.Parallel()
	hindered := &bus.Hindrance{Failure: events.Failure{Step: "pause", Object: "Singlestore demo/db", Reason: "QuotaExceeded", Message: "no room"}, Err: errors.New("403")}
	for name, c := range map[string]struct {
		last   error
		reason string
	}{
		"hindered":         {hindered, "QuotaExceeded"},
		"not at last":      {errors.New("503"), "DeadlineExceeded"},
		"in another error": {fmt.Errorf("grow: %w", hindered), "QuotaExceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			calls := 0
			run(t, b.runner(answering(events.Requested, func(context.Context, events.Event, bus.Confirm) (events.Event, error) {
				if calls++; calls == 1 {
					return events.Event{}, hindered
				}
				return events.Event{}, c.last
			})))
			first, err := b.chain.Begin(b.ctx, urgent("u1", 5*time.Second))
			require.NoError(t, err)
			require.Equal(t, c.reason, b.becomes(t, first, events.Failed).Operation.Failure.Reason)
		})
	}
}

// answering calls the step for one fact, and has nothing follow the others.
func answering(fact events.Fact, step bus.StepFunc) bus.Step {
	return bus.StepFunc(func(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
		if err := confirm(ctx); err != nil {
			return events.Event{}, err
		}
		if e.Fact != fact {
			return events.Event{}, nil
		}
		return step(ctx, e, confirm)
	})
}

// An event that waited too long for a worker is failed without being tried.
func TestAnOverdueEventIsNotBegun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, err := b.chain.Begin(b.ctx, urgent("u1", time.Nanosecond))
	require.NoError(t, err)
	run(t, b.runner(answering(events.Requested, func(context.Context, events.Event, bus.Confirm) (events.Event, error) {
		t.Error("the step was called")
		return events.Event{}, nil
	})))
	require.Equal(t, "DeadlineExceeded", b.becomes(t, first, events.Failed).Operation.Failure.Reason)
}

func TestNotYetIsNoAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var log lines
	ctx, cancel := context.WithCancel(zerolog.New(&log).WithContext(t.Context()))
	calls := 0
	done := make(chan error, 1)
	runner := b.runner(bus.StepFunc(func(ctx context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
		if calls++; calls < 4 {
			return events.Event{}, bus.NotYet(time.Millisecond, "too early")
		}
		zerolog.Ctx(ctx).Info().Msg("in time")
		return e.Next(events.Paused), nil
	}))
	go func() { done <- runner.Run(ctx) }()
	b.becomes(t, b.begin(t, "u1"), events.Paused)
	cancel()
	require.NoError(t, receive(t, done))
	// Another test, side by side, may have everything traced.
	require.Regexp(t, `"request":"demo/grow","fact":"requested",("trace":"[0-9a-f]+",)?"attempt":1,"message":"in time"`, log.String())
	require.Contains(t, log.String(), `"outcome":"published"`)
	require.NotContains(t, log.String(), "step failed")
}

// A database must not stay paused: the step that resumes it is tried for ever,
// whatever it says and however late it is.
func TestAStepThatMustSucceedIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	registry := prometheus.NewRegistry()
	first := b.begin(t, "u1")
	refused := first.Failed(events.Failure{Reason: "Refused"})
	// Only this fact's attempts are short: the first event, were it overdue when it
	// is delivered, would be answered with the same fact, and not be stale.
	refused.Operation.StepTimeout = events.SecondsOf(50 * time.Millisecond)
	failed, err := b.chain.Follow(b.ctx, first, refused)
	require.NoError(t, err)
	calls := 0
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Source: "pauser", Registerer: registry,
		Step: answering(events.Failed, func(ctx context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
			switch calls++; calls {
			case 1:
				return events.Event{}, bus.Permanent(events.Failure{Reason: "Hopeless"})
			case 2:
				<-ctx.Done() // an attempt has an end, though
				return events.Event{}, ctx.Err()
			default:
				return e.Next(events.Resumed), nil
			}
		})}))
	resumed := b.becomes(t, failed, events.Resumed)
	require.Equal(t, "Refused", resumed.Operation.Failure.Reason)
	b.idle(t, events.PauserConsumer)
	require.Equal(t, map[string]float64{"pauser": 1}, counters(t, registry, "opsrelay_steps_insisted_total"))
	require.Eventually(t, func() bool {
		handled := counters(t, registry, "opsrelay_messages_handled_total")
		return handled["pauser stale"] == 1 && handled["pauser published"] == 1
	}, patience, tick)
	require.Equal(t, map[string]float64{"pauser": 0}, counters(t, registry, "opsrelay_handlers_in_flight"))
}

// An observer's trouble is not the request's.
func TestAnObserverFailsNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.WatcherConsumer, Source: "watcher", Observer: true,
		Step: bus.StepFunc(func(context.Context, events.Event, bus.Confirm) (events.Event, error) {
			return events.Event{}, bus.Permanent(events.Failure{Reason: "Hopeless"})
		})}))
	first, err := b.chain.Begin(b.ctx, urgent("u1", time.Nanosecond))
	require.NoError(t, err)
	b.idle(t, events.WatcherConsumer)
	require.Equal(t, events.Requested, b.last(t, first).Fact)
}

func TestPoisonIsGivenUpAndTheNextEventIsHandled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run(t, b.runner(pauser))
	key := requested("poison").ChainKey()
	_, err := b.bus.JetStream().PublishMsg(b.ctx, &nats.Msg{Subject: key.Subject(events.Requested), Data: []byte("no event")})
	require.NoError(t, err)
	b.becomes(t, b.begin(t, "u1"), events.Paused)
	b.idle(t, events.PauserConsumer)
	stream, err := b.bus.JetStream().Stream(b.ctx, events.DeadLetterStream)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := stream.Info(b.ctx)
		return err == nil && info.State.Msgs == 1
	}, patience, tick, "the broker's notice is not among the dead letters")
}

func TestAnUnknownFactIsAcknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.WatcherConsumer, Source: "watcher", Observer: true,
		Step: bus.StepFunc(func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
			t.Errorf("the step was called for %s", e.Fact)
			return events.Event{}, nil
		})}))
	strange := requested("u1")
	strange.Fact = "inspected"
	message, err := events.Encode(strange)
	require.NoError(t, err)
	_, err = b.bus.JetStream().PublishMsg(b.ctx, message)
	require.NoError(t, err)
	b.idle(t, events.WatcherConsumer)
}

// lines is a log that may be written and read at once.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(data)
}

// A step that was frozen for long, or whose event waited for long, finds out before
// its effect that its chain went on.
func TestConfirm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var before, after error
	run(t, b.runner(bus.StepFunc(func(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
		before = confirm(ctx)
		b.follow(t, e, events.Paused)
		after = confirm(ctx)
		return events.Event{}, after
	})))
	b.becomes(t, b.begin(t, "u1"), events.Paused)
	b.idle(t, events.PauserConsumer)
	require.NoError(t, before)
	require.ErrorIs(t, after, bus.ErrLostRace)
}
