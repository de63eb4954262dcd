// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/faultpoint"
)

// A chain's timer is a dead man's switch: a message that the broker publishes
// some time after the deadline of the chain's last event, so that a step that
// nobody works on is failed, too.
//
// It says nothing but which chain to look at. It is set while its event is stored,
// so that the hop takes no longer, and a publish without it is repeated. Should a
// crash come between the two, there is the timer of the event before; and one
// that turns out to be set for an event that was never stored, or that another
// has followed, is set again for what the chain ends with. So an unfinished chain
// has a timer. A finished one has none, or at most one that a late loser of a
// race left, which finds nothing to do.

const (
	// timerGrace is how long after the deadline the timer is due: the worker
	// itself comes first, and can say more.
	timerGrace = 10 * time.Second
	// lateness is how much later than it was due a timer may come: the broker's
	// schedule is a matter of seconds.
	lateness = 5 * time.Second
	// tombstone is how long the broker keeps the message that removes a timer: as
	// short as it can.
	tombstone = time.Second
	// reminder is how often at least is looked at a chain that has to be resumed
	// and is not.
	reminder = time.Minute
)

// armFor sets the timer of an event that has a deadline, and says when that is
// done.
func (c *Chain) armFor(ctx context.Context, e events.Event) <-chan error {
	done := make(chan error, 1)
	if deadline := e.Operation.Deadline; deadline.IsZero() {
		done <- nil
	} else {
		go func() { done <- c.arm(ctx, e, deadline) }()
	}
	return done
}

// arm sets the chain's timer to when the step that answers the event is overdue.
// A chain has one timer: setting it again replaces it.
func (c *Chain) arm(ctx context.Context, e events.Event, overdue time.Time) error {
	return c.set(ctx, e, nats.NewMsg(e.ChainKey().Timer()), overdue.Add(timerGrace))
}

// set has the broker say at the given time that the step that answers the event is
// overdue.
func (c *Chain) set(ctx context.Context, e events.Event, timer *nats.Msg, due time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	key := e.ChainKey()
	faultpoint.At("before timer", string(e.Fact))
	_, err := c.bus.js.PublishMsg(ctx, timer,
		jetstream.WithExpectStream(events.TimerStream),
		jetstream.WithScheduleAt(due),
		jetstream.WithScheduleTarget(key.Timeout(e.Fact)))
	faultpoint.At("after timer", string(e.Fact))
	c.bus.wrote(events.TimerStream, err)
	if err != nil {
		return fmt.Errorf("set the timer of chain %s: %w", key, err)
	}
	return nil
}

// headerAgain marks a timer that was set again because the broker was away when the
// one before it was due.
const headerAgain = "Opsrelay-Again"

// armAgain sets the chain's timer for a last look at a step that is overdue.
func (c *Chain) armAgain(ctx context.Context, e events.Event, due time.Time) error {
	message := nats.NewMsg(e.ChainKey().Timer())
	message.Header.Set(headerAgain, "true")
	return c.set(ctx, e, message, due)
}

// late reports whether the broker was away when the timer of the chain's last event
// was due: nobody could have answered then.
func late(msg jetstream.Msg, last events.Event) bool {
	due := last.Operation.Deadline
	if last.Time.After(due) {
		due = last.Time
	}
	meta, err := msg.Metadata()
	return err == nil && msg.Headers().Get(headerAgain) == "" && meta.Timestamp.Sub(due.Add(timerGrace)) > lateness
}

// disarm removes the timer of a chain that has ended: a message in its place that
// is no timer, and is soon forgotten. The broker could purge the subject instead,
// but who may do that may remove every timer there is. Nothing is waited for: a
// timer that stays finds nothing to do.
func (c *Chain) disarm(key events.ChainKey) {
	faultpoint.At("before timer", "removed")
	message := nats.NewMsg(key.Timer())
	message.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	message.Header.Set(jetstream.MsgTTLHeader, tombstone.String())
	if err := c.bus.conn.PublishMsg(message); err != nil {
		c.bus.log.Debug().Str("request", key.String()).Err(err).Msg("cannot remove the timer, it will find nothing to do")
	}
}

// Unfinished lists the chains that have a timer: those that have not ended, and
// perhaps one that has just now. It needs the right to ask for the timers' stream,
// $JS.API.STREAM.INFO.<stream>.
func (c *Chain) Unfinished(ctx context.Context) ([]events.ChainKey, error) {
	stream, err := c.bus.js.Stream(ctx, events.TimerStream)
	if err != nil {
		return nil, fmt.Errorf("list the timers: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(events.TimerFilter()))
	if err != nil {
		return nil, fmt.Errorf("list the timers: %w", err)
	}
	chains := make([]events.ChainKey, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		if key, err := events.ParseTimer(subject); err == nil {
			chains = append(chains, key)
		}
	}
	return chains, nil
}

// overdue is what becomes of a chain whose timer is due.
func overdue(ctx context.Context, r *Runner, msg jetstream.Msg) (events.Event, *events.Failure, error) {
	_, key, err := events.ParseSubject(msg.Subject())
	if err != nil {
		return events.Event{}, nil, err
	}
	last, err := r.chain.Last(ctx, key)
	if errors.Is(err, ErrNoChain) || err == nil && last.Fact.Ends() {
		return last, nil, nil
	}
	if err != nil {
		return events.Event{}, nil, err
	}
	deadline, now := last.Operation.Deadline, r.bus.Now()
	switch {
	case deadline.IsZero():
		return last, nil, nil
	case now.Before(deadline):
		return last, nil, r.chain.arm(ctx, last, deadline)
	case !last.Fact.Precedes(events.Failed):
		zerolog.Ctx(ctx).Error().Str("request", key.String()).Str("fact", string(last.Fact)).Time("since", last.Time).
			Msg("nobody resumes the database: is the pauser running?")
		return last, nil, r.chain.arm(ctx, last, now.Add(max(reminder, last.Operation.StepTimeout.Duration())))
	case r.bus.settling() > 0 || late(msg, last):
		// Whoever did the step may only now be able to say so.
		return last, nil, r.chain.armAgain(ctx, last, now.Add(settleTime))
	default:
		return last, failure(last, reasonDeadline, fmt.Sprintf(
			"nobody answered %q within %s: is the service that does it running?", last.Fact, last.Operation.StepTimeout.Duration())), nil
	}
}

// failure is one of the step that should have answered the event.
func failure(e events.Event, reason, message string) *events.Failure {
	database := e.Operation.Database
	return &events.Failure{
		Step: e.Fact.Step(), Object: database.Kind + " " + database.Namespace + "/" + database.Name,
		Reason: reason, Message: message,
	}
}
