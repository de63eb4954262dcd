// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/faultpoint"
	"github.com/opsrelay/opsrelay/services/safely"
)

const (
	// reasonDeadline is the reason of a failure for want of time.
	reasonDeadline = "DeadlineExceeded"
	// reasonRetries is that of a step that failed by itself too often.
	reasonRetries = "RetriesExhausted"
)

var (
	// errOverdue is the cause of a step's context that ended at the deadline.
	errOverdue = errors.New("the deadline has passed")
	// errAttemptOver is that of a step that must succeed: it gets more time.
	errAttemptOver = errors.New("the attempt took too long")
)

// job is the work on one event.
type job struct {
	runner *Runner
	flight *flight
	event  events.Event
	step   Step
	// next is the step's answer, or empty. It is kept here and not handed from one
	// function to the next: an event is large, and thousands of stacks may wait.
	next events.Event
	// alive ends at shutdown only, ctx when the chain ended elsewhere as well.
	alive, ctx context.Context
	// attempts counts the calls of the step that failed, failures those of them
	// that count against the operation's retries; words is what the last of them
	// said.
	attempts, failures int
	words              string
	// hindrance is what the step said last that somebody could help with; nil when
	// it said something else since.
	hindrance *Hindrance
}

// run calls the step until there is something to publish, or nothing to do.
func (j *job) run() outcome {
	for {
		err := j.try()
		if err == nil {
			return j.conclude(j.next, outcomePublished)
		}
		var lost *LostRace
		var permanent *events.Failure
		switch {
		case j.alive.Err() != nil:
			return j.handOver()
		case errors.As(err, &lost):
			return j.lose(lost.Last)
		case errors.Is(context.Cause(j.ctx), ErrChainEnded):
			return j.ended()
		case errors.As(err, &permanent) && j.mayFail():
			return j.fail(*permanent)
		case j.overdue():
			j.hear(err)
			return j.fail(j.lateness())
		case errors.As(err, &permanent) && j.runner.cfg.Observer:
			j.log().Error().Err(err).Msg("step gave up, going on without it")
			return j.acknowledge(outcomeGaveUp)
		}
		how := j.runner.retryOf(err)
		if how.counts && j.exhausted(err) {
			return j.fail(j.exhaustion())
		}
		j.wait(err, how)
	}
}

// try calls the step once. An event that comes again or late is looked at first:
// most likely its chain has gone on, which is a [LostRace]. Late is a first delivery,
// too, of a consumer that was recreated or of a dead letter that is replayed. One
// that comes in time is not looked at, for the step confirms it before it writes,
// and what is published expects the chain's end.
func (j *job) try() error {
	if j.begun() > 1 || j.overdue() {
		if err := j.confirm(j.ctx); err != nil {
			return err
		}
	}
	if j.overdue() {
		return errOverdue
	}
	ctx, cancel := j.limit()
	defer cancel()
	if err := j.call(ctx); err != nil {
		return err
	}
	return j.check()
}

// check refuses an answer that must not follow the event.
func (j *job) check() error {
	if j.next.Fact == "" || j.event.Fact.Precedes(j.next.Fact) && j.next.ChainKey() == j.event.ChainKey() {
		return nil
	}
	return fmt.Errorf("%w: it answers %s with %s, which must not follow it", errDefect, j.event.ID(), j.next.ID())
}

// confirm returns a [LostRace] if the event is not the last of its chain.
func (j *job) confirm(ctx context.Context) error {
	if j.runner.cfg.Observer {
		return nil
	}
	newest, err := j.runner.chain.newestSince(ctx, j.event.ChainKey(), j.event.Sequence, lagPatience)
	switch {
	case errors.Is(err, ErrNoChain):
		return &LostRace{}
	case err != nil:
		return err
	case newest.Sequence == j.event.Sequence:
		return nil
	}
	last, _, err := j.runner.chain.read(ctx, newest)
	switch {
	case errors.Is(err, ErrNoChain):
		return &LostRace{}
	case err != nil:
		return err
	default:
		return &LostRace{Last: last}
	}
}

// begun is how often the step was begun until now: the attempts of this delivery,
// and the deliveries before it.
func (j *job) begun() int {
	n := j.attempts + 1
	if meta, err := j.flight.message().Metadata(); err == nil {
		n += int(meta.NumDelivered) - 1
	}
	return n
}

// limit is the time that the step has: until the operation's deadline, or, where
// giving up is no way out, as long as any step from now.
func (j *job) limit() (context.Context, context.CancelFunc) {
	op := j.event.Operation
	switch {
	case j.runner.cfg.Observer:
		return context.WithCancel(j.ctx)
	case j.mayFail() && !op.Deadline.IsZero():
		return context.WithTimeoutCause(j.ctx, j.left(), errOverdue)
	case !j.mayFail() && op.StepTimeout > 0:
		return context.WithTimeoutCause(j.ctx, op.StepTimeout.Duration(), errAttemptOver)
	default:
		return context.WithCancel(j.ctx)
	}
}

// mayFail reports whether the event may be answered by failed. Where it may not,
// a paused database would stay so: the step has to succeed.
func (j *job) mayFail() bool { return !j.runner.cfg.Observer && j.event.Fact.Precedes(events.Failed) }

func (j *job) overdue() bool {
	return j.mayFail() && !j.event.Operation.Deadline.IsZero() && j.left() <= 0
}

// left is the time until the operation's deadline, by the broker's clock.
func (j *job) left() time.Duration { return j.event.Operation.Deadline.Sub(j.runner.bus.Now()) }

// exhausted counts a failure of the step itself, and reports whether it may not
// be tried again. A step that says not yet has not failed.
func (j *job) exhausted(err error) bool {
	var notYet *notYet
	if !j.mayFail() || errors.As(err, &notYet) {
		return false
	}
	j.hear(err)
	j.failures++
	return j.failures > j.event.Operation.MaxRetries
}

// exhaustion is the failure of a step that failed by itself too often.
func (j *job) exhaustion() events.Failure {
	return *failure(j.event, reasonRetries, fmt.Sprintf(
		"failed %d times, and spec.maxRetries is %d: %s", j.failures, j.event.Operation.MaxRetries, j.words))
}

// call runs the step; a panic is an error like any other.
func (j *job) call(ctx context.Context) error {
	log := zerolog.Ctx(ctx).With().Int("attempt", j.attempts+1).Logger()
	faultpoint.At("before handle", string(j.event.Fact))
	return j.safely(func() (err error) {
		j.next, err = j.step.Handle(log.WithContext(ctx), j.event, j.confirm)
		return err
	})
}

// safely calls f, which is the step's. A panic in it, or in a goroutine of its own
// that it waited for ([safely.Group]), is a defect.
func (j *job) safely(f func() error) error {
	err := safely.Do(f)
	var panicked *safely.Panic
	if errors.As(err, &panicked) {
		j.log().Error().Bytes("stack", panicked.Stack).Interface("panic", panicked.Value).Msg("step panicked")
		return fmt.Errorf("%w: %w", errDefect, panicked)
	}
	return err
}

// hear keeps what the step said last, for the failure that may come of it.
func (j *job) hear(err error) {
	words := lastWords(err)
	if words == "" {
		return
	}
	j.words, j.hindrance = words, nil
	_ = errors.As(err, &j.hindrance)
}

// wait pauses before the next attempt, until the deadline at most.
func (j *job) wait(err error, how Retry) {
	j.hear(err)
	var notYet *notYet
	var permanent *events.Failure
	delay := how.delay(j.attempts + 1)
	if errors.As(err, &notYet) {
		delay = max(notYet.after, minDelay)
		j.log().Debug().Str("reason", notYet.reason).Dur("after_ms", delay).Msg("not yet")
	} else {
		j.attempts++
		if errors.As(err, &permanent) {
			j.runner.metrics.insisted.WithLabelValues(j.runner.cfg.Consumer.Name).Inc()
		}
		j.log().Warn().Int("attempt", j.attempts).Str("class", how.Class).Dur("again_ms", delay).Err(err).Msg("step failed, trying again")
	}
	if deadline := j.event.Operation.Deadline; j.mayFail() && !deadline.IsZero() {
		delay = min(delay, max(0, j.left()))
	}
	// Why it ended is found by the next attempt.
	_ = pause(j.ctx, delay)
}

// lateness is the failure of a step that was not done in time, with its last
// words.
func (j *job) lateness() events.Failure {
	message := fmt.Sprintf("not done within %s", j.event.Operation.StepTimeout.Duration())
	if j.hindrance != nil {
		late := j.hindrance.Failure
		late.Message = message + ": " + late.Message
		return late
	}
	if j.words != "" {
		message += ": " + j.words
	}
	return *failure(j.event, reasonDeadline, message)
}

// lastWords is an error's text without the noise of a context that ended.
func lastWords(err error) string {
	var notYet *notYet
	if errors.As(err, &notYet) {
		return notYet.reason
	}
	words := err.Error()
	for _, noise := range []string{context.DeadlineExceeded.Error(), errOverdue.Error(), errAttemptOver.Error()} {
		words = strings.TrimSuffix(strings.TrimSuffix(words, noise), ": ")
	}
	return words
}

func (j *job) log() *zerolog.Logger { return zerolog.Ctx(j.alive) }
