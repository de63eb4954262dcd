// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/faultpoint"
)

// ErrNoChain says that a chain has no event: nobody has begun it, or it is older
// than [events.Retention].
var ErrNoChain = errors.New("the chain has no event")

// ErrLostRace says that the chain's last event is another one than was to be
// followed: somebody else's successor is stored. Every such error is a
// [*LostRace].
var ErrLostRace = errors.New("the chain has gone on")

// LostRace is [ErrLostRace] with the event that the chain has instead.
type LostRace struct {
	// Last is the chain's last event.
	Last events.Event
}

// Error implements error.
func (l *LostRace) Error() string {
	return fmt.Sprintf("%s: its last event is %s (%d)", ErrLostRace, l.Last.ID(), l.Last.Sequence)
}

// Unwrap makes a LostRace an [ErrLostRace].
func (l *LostRace) Unwrap() error { return ErrLostRace }

// Chain publishes and reads the chains of facts, in the name of one service.
type Chain struct {
	bus    *Bus
	source string
}

// Chain returns the publisher of the given service, the source of what it
// publishes.
func (b *Bus) Chain(source string) *Chain { return &Chain{bus: b, source: source} }

// Begin stores the first event of a chain and returns it as it is stored. An
// equal first event that is there already is no error: that one is returned. Any
// other event is [ErrLostRace].
func (c *Chain) Begin(ctx context.Context, first events.Event) (events.Event, error) {
	if !events.Fact("").Precedes(first.Fact) {
		return events.Event{}, fmt.Errorf("publish %s: %q does not begin a chain", first.ID(), first.Fact)
	}
	return c.publish(ctx, 0, first)
}

// Follow stores next behind previous, which must be the last event of its chain,
// and returns it as it is stored. When the very same fact is the chain's last
// event already, a lost answer or another worker was faster: that is no error,
// and that event is returned. Anything else behind previous is [ErrLostRace].
// After any other error it is unknown whether next is stored; the call may be
// repeated.
func (c *Chain) Follow(ctx context.Context, previous, next events.Event) (events.Event, error) {
	switch {
	case previous.Sequence == 0:
		return events.Event{}, fmt.Errorf("publish %s: its predecessor %s is not stored", next.ID(), previous.ID())
	case previous.ChainKey() != next.ChainKey():
		return events.Event{}, fmt.Errorf("publish %s: its predecessor is of another chain, %s", next.ID(), previous.ChainKey())
	case !previous.Fact.Precedes(next.Fact):
		return events.Event{}, fmt.Errorf("publish %s: %q must not follow %q", next.ID(), next.Fact, previous.Fact)
	}
	return c.publish(ctx, previous.Sequence, next)
}

// Last returns the last event of a chain, or [ErrNoChain]. A chain that ends with
// what is no event has failed, and that is returned.
func (c *Chain) Last(ctx context.Context, key events.ChainKey) (events.Event, error) {
	last, _, err := c.end(ctx, key, 0)
	return last, err
}

// newest reads the last message of a chain, or returns [ErrNoChain].
func (c *Chain) newest(ctx context.Context, key events.ChainKey) (stored, error) {
	message, err := c.bus.lastMessage(ctx, events.Stream, key.Filter())
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return stored{}, fmt.Errorf("chain %s: %w", key, ErrNoChain)
	case err != nil:
		return stored{}, fmt.Errorf("last event of chain %s: %w", key, err)
	default:
		return message, nil
	}
}

func eventOf(message stored) (events.Event, error) {
	e, err := events.Decode(message.Subject, message.Header, message.Data)
	if err != nil {
		return events.Event{}, fmt.Errorf("message %d: %w", message.Sequence, err)
	}
	e.Sequence = message.Sequence
	return e, nil
}

// lagPatience is how long the answer of a stream's leader is doubted that knows
// less than is known.
const lagPatience = 2 * time.Second

// newestSince is newest of a chain that has had an event of the given sequence. In a
// cluster a consumer's messages may come from another server than the stream's
// leader, which then is behind for a moment: what it does not know yet is asked
// for again. What it does not know after all that patience is gone with the
// stream's data, and its answer comes back as it is.
func (c *Chain) newestSince(ctx context.Context, key events.ChainKey, sequence uint64, patience time.Duration) (stored, error) {
	began := time.Now()
	for attempt := 1; ; attempt++ {
		newest, err := c.newest(ctx, key)
		behind := err == nil && newest.Sequence < sequence || sequence > 0 && errors.Is(err, ErrNoChain)
		if !behind || time.Since(began) >= patience {
			return newest, err
		}
		if err := pause(ctx, time.Duration(attempt)*5*time.Millisecond); err != nil {
			return stored{}, err
		}
	}
}

// Progress tells how far a volume has come, to whoever looks. It is best effort:
// nothing is waited for, and only the newest of a volume is kept.
func (c *Chain) Progress(_ context.Context, key events.ChainKey, p events.Progress) error {
	message, err := events.EncodeProgress(key, p)
	if err != nil {
		return err
	}
	if err := c.bus.conn.PublishMsg(message); err != nil {
		return fmt.Errorf("publish progress of claim %s: %w", p.Claim, err)
	}
	return nil
}

// publish stores the event if the chain's last message has the given sequence, and
// counts how it went.
func (c *Chain) publish(ctx context.Context, expected uint64, e events.Event) (events.Event, error) {
	e.Source = c.source
	e.Cluster = cmp.Or(e.Cluster, c.bus.cluster)
	e = e.At(c.bus.Now())
	ctx, span, e := startSend(ctx, e)
	defer span.End()
	faultpoint.At("before publish", string(e.Fact))
	event, result, err := c.put(ctx, expected, e)
	c.bus.metrics.Load().published.WithLabelValues(string(e.Fact), result).Inc()
	faultpoint.At("after publish", string(e.Fact))
	switch {
	case errors.Is(err, ErrLostRace):
		return events.Event{}, err
	case err != nil:
		return events.Event{}, fmt.Errorf("publish %s: %w", e.ID(), err)
	default:
		return event, nil
	}
}

// put publishes until it is clear what the chain has behind the expected
// sequence.
func (c *Chain) put(ctx context.Context, expected uint64, e events.Event) (_ events.Event, result string, _ error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	withID, begins := true, expected == 0
	for attempt := 1; ; attempt++ {
		ack, err := c.send(ctx, expected, e, withID)
		if err == nil && !ack.Duplicate {
			e.Sequence = ack.Sequence
			return e, resultStored, nil
		}
		if err != nil && !isConflict(err) {
			return events.Event{}, resultError, err
		}
		// Duplicates are not looked for in the same order by a single server and
		// by a cluster, so that "ours is there already" is a duplicate on one and
		// a conflict on the other. The chain itself knows.
		last, readable, lastErr := c.end(ctx, e.ChainKey(), expected)
		switch {
		case lastErr != nil && !errors.Is(lastErr, ErrNoChain):
			return events.Event{}, resultError, lastErr
		case readable && last.ID() == e.ID():
			return last, resultDuplicate, nil
		case begins && errors.Is(lastErr, ErrNoChain) && last.Sequence != expected:
			expected = last.Sequence // nobody can read what is there
		case last.Sequence != expected:
			return events.Event{}, resultConflict, &LostRace{Last: last}
		case err == nil:
			// The broker remembers our id, but the message is gone: the stream was
			// emptied. The expected sequence alone keeps the chain from forking.
			withID = false
		default:
			// A cluster refuses what races with a message that is on its way but
			// not stored: that one will be seen in a moment, or was lost.
			if err := pause(ctx, time.Duration(attempt)*10*time.Millisecond); err != nil {
				return events.Event{}, resultError, err
			}
		}
	}
}

func (c *Chain) send(ctx context.Context, expected uint64, e events.Event, withID bool) (*jetstream.PubAck, error) {
	message, err := events.Encode(e)
	if err != nil {
		return nil, err
	}
	options := []jetstream.PublishOpt{
		jetstream.WithExpectStream(events.Stream),
		jetstream.WithExpectLastSequenceForSubject(expected, e.ChainKey().Filter()),
	}
	if withID {
		options = append(options, jetstream.WithMsgID(e.ID()))
	}
	ack, err := c.bus.js.PublishMsg(ctx, message, options...)
	if err != nil || !ack.Duplicate { // duplicates are looked for before anything is stored
		c.bus.wrote(events.Stream, err)
	}
	return ack, err
}

// errCodeInProcess is the broker's code for a message whose id is on its way,
// not yet stored.
const errCodeInProcess jetstream.ErrorCode = 10158

// isConflict reports whether the broker refused because the chain's last message
// is another one, or is about to be. Clusters have codes of their own for that.
func isConflict(err error) bool {
	var apiErr *jetstream.APIError
	if !errors.As(err, &apiErr) {
		return false
	}
	switch apiErr.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant, errCodeInProcess:
		return true
	default:
		return false
	}
}

// pause waits, or returns why the context ended first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
