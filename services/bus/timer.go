// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/events"
)

// A chain's timer is a dead man's switch: a step that nobody works on is failed,
// too. It is no message of its own. The broker gives every fact that waits for an
// answer to [events.TimeoutConsumer] as well, which sends it back with a delay, and
// gives it again when the deadline has passed. So there is a timer for whatever is
// stored, as soon as it is stored, and nobody needs the right to set one, which
// would be the right to take others away: a stream that schedules messages lets
// whoever may write into it purge it.

const (
	// timerGrace is how long after the deadline the timer is due: the worker
	// itself comes first, and can say more.
	timerGrace = 10 * time.Second
	// lateness is how much later than it was due a fact may come again: the broker is
	// a matter of seconds.
	lateness = 5 * time.Second
	// reminder is how often at least is looked at a chain that has to be resumed
	// and is not.
	reminder = time.Minute
)

// Unfinished lists the chains that have begun and not ended, and perhaps one that has
// just now. It needs the right to ask for the stream of facts,
// $JS.API.STREAM.INFO.<stream>.
func (c *Chain) Unfinished(ctx context.Context) ([]events.ChainKey, error) {
	stream, err := c.bus.js.Stream(ctx, events.Stream)
	if err != nil {
		return nil, fmt.Errorf("list the chains: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(events.AllFacts))
	if err != nil {
		return nil, fmt.Errorf("list the chains: %w", err)
	}
	ended := map[events.ChainKey]bool{}
	for subject := range info.State.Subjects {
		if fact, key, err := events.ParseSubject(subject); err == nil {
			ended[key] = ended[key] || fact.Ends()
		}
	}
	var chains []events.ChainKey
	for key, over := range ended {
		if !over {
			chains = append(chains, key)
		}
	}
	return chains, nil
}

// overdue is what becomes of a fact that nobody has answered in time. One that has
// time left, or that has to be answered whatever comes, is to be looked at again:
// [NotYet].
func overdue(ctx context.Context, r *Runner, msg jetstream.Msg) (events.Event, *events.Failure, error) {
	e, err := decode(msg)
	if err != nil || e.Operation.Deadline.IsZero() {
		return e, nil, err
	}
	if left := e.Operation.Deadline.Add(timerGrace).Sub(r.bus.Now()); left > 0 {
		return e, nil, NotYet(left, "the deadline has not passed")
	}
	switch newest, err := r.chain.newest(ctx, e.ChainKey()); {
	case errors.Is(err, ErrNoChain), err == nil && newest.Sequence != e.Sequence:
		return e, nil, nil
	case err != nil:
		return e, nil, err
	}
	switch {
	case !e.Fact.Precedes(events.Failed):
		const late = "nobody resumes the database: is the pauser running?"
		zerolog.Ctx(ctx).Error().Str("request", e.ChainKey().String()).Str("fact", string(e.Fact)).Time("since", e.Time).Msg(late)
		return e, nil, NotYet(max(reminder, e.Operation.StepTimeout.Duration()), late)
	case r.bus.settling() > 0 || r.late(e):
		// Whoever did the step may only now be able to say so.
		return e, nil, NotYet(settleTime, "the broker was away when it was due")
	}
	return e, failure(e, reasonDeadline, fmt.Sprintf(
		"nobody answered %q within %s: is the service that does it running?", e.Fact, e.Operation.StepTimeout.Duration())), nil
}

// late reports, once, whether the fact comes again much later than it was due: then
// the broker was away, or all who would have been told, and nobody could have
// answered.
func (r *Runner) late(e events.Event) bool {
	due := e.Operation.Deadline
	if e.Time.After(due) {
		due = e.Time
	}
	if r.bus.Now().Sub(due.Add(timerGrace)) <= lateness {
		return false
	}
	_, again := r.lookedAt.LoadOrStore(e.Sequence, struct{}{})
	if again {
		r.lookedAt.Delete(e.Sequence)
	}
	return !again
}

// failure is one of the step that should have answered the event.
func failure(e events.Event, reason, message string) *events.Failure {
	database := e.Operation.Database
	return &events.Failure{
		Step: e.Fact.Step(), Object: database.Kind + " " + database.Namespace + "/" + database.Name,
		Reason: reason, Message: message,
	}
}
