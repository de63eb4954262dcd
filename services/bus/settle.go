// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/faultpoint"
)

// outcome is how the handling of a message ended, as a label.
type outcome string

const (
	// outcomeDone: nothing follows.
	outcomeDone outcome = "done"
	// outcomePublished: the step's successor is stored.
	outcomePublished outcome = "published"
	// outcomeFailed: failed is stored.
	outcomeFailed outcome = "failed"
	// outcomeStale: the chain had gone on, before the step or during it.
	outcomeStale outcome = "stale"
	// outcomeGaveUp: an observer said that no repetition helps.
	outcomeGaveUp outcome = "gave_up"
	// outcomeHandOver: given to another worker at shutdown.
	outcomeHandOver outcome = "handover"
	// outcomePoison: no event; the broker was told to forget it.
	outcomePoison outcome = "poison"
	// outcomeIgnored: a fact that this version does not know.
	outcomeIgnored outcome = "ignored"
	// outcomeUnacknowledged: done, but the broker did not confirm it; the
	// message will come again and be found stale.
	outcomeUnacknowledged outcome = "unacknowledged"
)

// conclude publishes the successor, if there is one, and acknowledges.
func (j *job) conclude(next events.Event, published outcome) outcome {
	if next.Fact == "" {
		return j.acknowledge(outcomeDone)
	}
	next = next.WithAttempts(j.begun())
	for attempt := 1; ; attempt++ {
		// The last try at shutdown is worth its time: the effect is there.
		_, err := j.runner.chain.Follow(context.WithoutCancel(j.alive), j.event, next)
		var lost *LostRace
		switch {
		case err == nil:
			return j.acknowledge(published)
		case errors.As(err, &lost):
			return j.release(lost.Last)
		case j.alive.Err() != nil:
			return j.handOver()
		}
		j.log().Warn().Int("attempt", attempt).Str("next", string(next.Fact)).Err(err).Msg("cannot publish, trying again")
		_ = pause(j.alive, retryDelay(attempt))
	}
}

// ended finds out what the chain has instead.
func (j *job) ended() outcome {
	for attempt := 1; ; attempt++ {
		last, err := j.runner.chain.lastSince(j.alive, j.event.ChainKey(), j.event.Sequence+1, lagPatience)
		switch {
		case err == nil || errors.Is(err, ErrNoChain):
			return j.release(last)
		case j.alive.Err() != nil:
			return j.handOver()
		}
		j.log().Warn().Int("attempt", attempt).Err(err).Msg("cannot read the chain, trying again")
		_ = pause(j.alive, retryDelay(attempt))
	}
}

// fail has the step let go of what it holds, and publishes failed. Should that
// be impossible, the chain's timer fails the request, and the step goes on trying.
func (j *job) fail(f events.Failure) outcome {
	next := j.event.Failed(f)
	if !j.letGo(next) {
		return j.handOver()
	}
	return j.conclude(next, outcomeFailed)
}

// release has the step let go of what it holds for a chain that went on without
// it, and acknowledges.
func (j *job) release(last events.Event) outcome {
	if !j.letGo(last) {
		return j.handOver()
	}
	return j.acknowledge(outcomeStale)
}

// letGo has the step let go of what it holds. It tries until that is done, and
// returns false at shutdown.
func (j *job) letGo(last events.Event) bool {
	for attempt := 1; ; attempt++ {
		err := j.tryLetGo(last)
		switch {
		case err == nil:
			return true
		case j.alive.Err() != nil:
			return false
		}
		j.log().Warn().Int("attempt", attempt).Err(err).Msg("cannot let go, trying again")
		_ = pause(j.alive, retryDelay(attempt))
	}
}

func (j *job) tryLetGo(last events.Event) (err error) {
	defer j.recover(&err)
	if step, ok := j.step.(Releaser); ok {
		return step.Release(j.alive, j.event, last)
	}
	return nil
}

// acknowledge tells the broker that the event is answered, and waits for its
// word.
func (j *job) acknowledge(o outcome) outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.alive), requestTimeout)
	defer cancel()
	faultpoint.At("before acknowledge", string(j.event.Fact))
	defer faultpoint.At("after acknowledge", string(j.event.Fact))
	if faultpoint.Loses("acknowledge", j.flight.sequence) {
		return outcomeUnacknowledged
	}
	if err := j.flight.message().DoubleAck(ctx); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		j.log().Warn().Str("outcome", string(o)).Err(err).Msg("the broker did not confirm, the message will come again")
		return outcomeUnacknowledged
	}
	return o
}

func (j *job) handOver() outcome {
	j.runner.giveBack(j.alive, j.flight.message())
	return outcomeHandOver
}
