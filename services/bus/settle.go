// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"time"

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
	// outcomeSentBack: its time has not come; the broker gives it again then.
	outcomeSentBack outcome = "sent_back"
	// outcomePoison: no event; the broker was told to forget it.
	outcomePoison outcome = "poison"
	// outcomeIgnored: a fact that this version does not know.
	outcomeIgnored outcome = "ignored"
	// outcomeForeign: a fact of another cluster, left to that one's services.
	outcomeForeign outcome = "foreign"
	// outcomeUnacknowledged: done, but the broker did not confirm it; the
	// message will come again and be found stale.
	outcomeUnacknowledged outcome = "unacknowledged"
)

// conclude publishes the successor, if there is one, and acknowledges. It tries
// until that is done or the process ends.
func (j *job) conclude(next events.Event, published outcome) outcome {
	for attempt := 1; ; attempt++ {
		o, err := j.publish(next, published)
		switch {
		case err == nil:
			return o
		case j.alive.Err() != nil:
			return j.handOver()
		}
		j.log().Warn().Int("attempt", attempt).Str("next", string(next.Fact)).Err(err).Msg("cannot publish, trying again")
		j.runner.bus.pauseToPublish(j.alive, retryDelay(attempt))
	}
}

// publish is one try of conclude; after an error it is unknown whether the
// successor is stored. What is held is let go of between the two, where the chain
// ends without this step: so the failure is known and the target can be resumed
// however long that takes, and the event is in progress until nothing is held any
// more, so that nobody takes its worker away. Should the worker die in between, the
// event comes again and is stale.
func (j *job) publish(next events.Event, published outcome) (outcome, error) {
	if next.Fact == "" {
		return j.acknowledge(outcomeDone), nil
	}
	// The last try at shutdown is worth its time: the effect is there.
	stored, err := j.runner.chain.Follow(context.WithoutCancel(j.alive), j.event, next.WithAttempts(j.begun()))
	var lost *LostRace
	switch {
	case err == nil && stored.Fact == events.Failed:
		return j.release(stored, published), nil
	case err == nil:
		return j.acknowledge(published), nil
	case errors.As(err, &lost):
		return j.lose(lost.Last), nil
	default:
		return "", err
	}
}

// ended finds out what the chain has instead.
func (j *job) ended() outcome {
	for attempt := 1; ; attempt++ {
		last, _, err := j.runner.chain.end(j.alive, j.event.ChainKey(), j.event.Sequence+1)
		switch {
		case err == nil && last.Sequence == j.event.Sequence:
			return j.handOver() // whoever said that it ended was wrong
		case err == nil || errors.Is(err, ErrNoChain):
			return j.lose(last)
		case j.alive.Err() != nil:
			return j.handOver()
		}
		j.log().Warn().Int("attempt", attempt).Err(err).Msg("cannot read the chain, trying again")
		_ = pause(j.alive, retryDelay(attempt))
	}
}

// fail publishes failed.
func (j *job) fail(f events.Failure) outcome { return j.conclude(j.event.Failed(f), outcomeFailed) }

// lose ends the work on an event whose chain has the given end instead of what
// this step would say. A chain that goes on is left alone: what is held for it is
// another worker's, or another step's, by now.
func (j *job) lose(last events.Event) outcome {
	if atWork(last.Fact) {
		return j.acknowledge(outcomeStale)
	}
	return j.release(last, outcomeStale)
}

// atWork reports whether a chain that ends with the fact is being worked on. Facts
// of a newer version are taken for that.
func atWork(fact events.Fact) bool {
	return fact != "" && fact != events.Failed && fact != events.Cancelled && !fact.Ends()
}

// release has the step let go of what it holds, tries until that is done, and
// acknowledges. At shutdown the event is handed over.
func (j *job) release(last events.Event, o outcome) outcome {
	step, ok := j.step.(Releaser)
	if !ok {
		return j.acknowledge(o)
	}
	for attempt := 1; ; attempt++ {
		err := j.safely(func() error { return step.Release(j.alive, j.event, last) })
		switch {
		case err == nil:
			return j.acknowledge(o)
		case j.alive.Err() != nil:
			return j.handOver()
		}
		j.log().Warn().Int("attempt", attempt).Err(err).Msg("cannot let go, trying again")
		_ = pause(j.alive, j.runner.retryOf(err).delay(attempt))
	}
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

// sendBack has the broker give the message again after a while. Should the broker
// not hear of that, it comes sooner.
func (j *job) sendBack(after time.Duration) outcome {
	if err := j.flight.message().NakWithDelay(after); err != nil {
		j.log().Warn().Err(err).Msg("cannot tell the broker when the message is due, it will come again sooner")
	}
	return outcomeSentBack
}

func (j *job) handOver() outcome {
	j.runner.giveBack(j.alive, j.flight.message())
	return outcomeHandOver
}
