// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/events"
)

// A chain may end with what nobody can read: whoever may publish a fact may publish
// anything in its place. Such a chain has failed, whichever fact it claims to be: so
// it is taken by whoever reads the end of a chain, and no step goes on with it. The
// broker's notice that its consumers gave up on the message is what has failed be
// stored behind it, for the pauser to answer like any other.

// reasonUnreadable is that of a request whose chain ends with what is no event.
const reasonUnreadable = "Unreadable"

// read reads the end of a chain. One that is no event is read as the failure that
// it is taken for, with the place of the message, or as what the chain has ended
// with before; readable is then false. One with no event before it is of a chain
// that nobody has begun: [ErrNoChain], with the place of the message.
func (c *Chain) read(ctx context.Context, message stored) (last events.Event, readable bool, err error) {
	last, unreadable := eventOf(message)
	if unreadable == nil {
		return last, true, nil
	}
	_, key, err := events.ParseSubject(message.Subject)
	if err != nil {
		return events.Event{}, false, fmt.Errorf("message %d: %w", message.Sequence, err)
	}
	last, err = c.lastReadable(ctx, key, message.Sequence)
	if err == nil && last.Fact.Precedes(events.Failed) {
		last = last.Failed(*failure(last, reasonUnreadable, fmt.Sprintf(
			"its chain ends with what is no event: %s on %s; see opsrelay dead-letters list", unreadable, message.Subject)))
	}
	last.Sequence = message.Sequence
	return last, false, err
}

// lastReadable finds the last event of a chain before the message, or returns
// [ErrNoChain]. A chain is short.
func (c *Chain) lastReadable(ctx context.Context, key events.ChainKey, before uint64) (last events.Event, _ error) {
	for from := uint64(1); ; {
		message, err := c.bus.nextMessage(ctx, events.Stream, key.Filter(), from)
		switch {
		case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
			return events.Event{}, fmt.Errorf("chain %s: %w", key, err)
		case err != nil || message.Sequence >= before:
			if last.Sequence == 0 {
				return last, fmt.Errorf("chain %s: %w", key, ErrNoChain)
			}
			return last, nil
		}
		if event, err := eventOf(message); err == nil && event.Fact.Known() {
			last = event
		}
		from = message.Sequence + 1
	}
}

// end is the last event of a chain as [Chain.read] has it, which has had a message
// of the given sequence: see newestSince.
func (c *Chain) end(ctx context.Context, key events.ChainKey, sequence uint64) (last events.Event, readable bool, err error) {
	newest, err := c.newestSince(ctx, key, sequence, lagPatience)
	if err != nil {
		return events.Event{}, false, err
	}
	return c.read(ctx, newest)
}

// mend stores behind the unreadable end of a chain what it is taken for.
func (c *Chain) mend(ctx context.Context, subject string) error {
	_, key, err := events.ParseSubject(subject)
	if err != nil {
		return nil // it is of no chain
	}
	last, readable, err := c.end(ctx, key, 0)
	switch {
	case errors.Is(err, ErrNoChain):
		return nil
	case err != nil:
		return err
	case readable || last.Fact.Ends():
		return nil
	}
	zerolog.Ctx(ctx).Error().Str("request", key.String()).Uint64("message", last.Sequence).Str("subject", subject).
		Msg("the chain ends with what is no event, failing its request")
	if _, err = c.publish(ctx, last.Sequence, last); errors.Is(err, ErrLostRace) {
		return nil
	}
	return err
}
