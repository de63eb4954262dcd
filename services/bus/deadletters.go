// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
)

// DeadLetter is a message that the broker gave up on, as people see it.
type DeadLetter struct {
	// Number is its place in [events.DeadLetterStream].
	Number uint64
	// Time is when the broker gave up.
	Time time.Time
	// Consumer is who did not get it done, Deliveries how often it was
	// delivered.
	Consumer   string
	Deliveries uint64
	// Reason is what the worker said that terminated the message; empty when it
	// was delivered too often.
	Reason string
	// Sequence is the message's in [events.Stream], Event the message itself.
	Sequence uint64
	Event    events.Event
	// Unreadable says why there is no event: it is not kept any more, or is none.
	Unreadable error
}

// DeadLetters returns what the broker gave up on, oldest first.
func (b *Bus) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	info, err := b.deadLetterStream(ctx)
	if err != nil {
		return nil, err
	}
	var letters []DeadLetter
	for number := info.State.FirstSeq; number <= info.State.LastSeq && number > 0; number++ {
		letter, err := b.DeadLetter(ctx, number)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue // expired meanwhile
		case err != nil:
			return nil, err
		}
		letters = append(letters, letter)
	}
	return letters, nil
}

func (b *Bus) deadLetterStream(ctx context.Context) (*jetstream.StreamInfo, error) {
	stream, err := b.js.Stream(ctx, events.DeadLetterStream)
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	return stream.CachedInfo(), nil
}

// DeadLetter returns the dead letter with the number. An error that wraps
// [jetstream.ErrMsgNotFound] means that there is none.
func (b *Bus) DeadLetter(ctx context.Context, number uint64) (DeadLetter, error) {
	stream, err := b.js.Stream(ctx, events.DeadLetterStream)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("dead letter %d: %w", number, err)
	}
	notice, err := stream.GetMsg(ctx, number)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("dead letter %d: %w", number, err)
	}
	g, err := b.deadLetter(ctx, notice.Data)
	if err != nil && !errors.Is(err, events.ErrMalformed) && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return DeadLetter{}, err
	}
	return DeadLetter{
		Number: number, Time: notice.Time, Consumer: g.Consumer, Deliveries: g.Deliveries, Reason: g.Reason,
		Sequence: g.Sequence, Event: g.Event, Unreadable: err,
	}, nil
}

// ErrAnswered means that a dead letter need not be replayed: its chain has gone
// on.
var ErrAnswered = errors.New("its chain has gone on")

// Replay has the broker deliver the message of a dead letter once more, with all
// that its consumer got after it: workers find what is answered and leave it
// alone. An error that wraps [ErrAnswered] means that nothing was done because the
// message itself is answered. It takes a server of 2.14 or newer.
func (b *Bus) Replay(ctx context.Context, letter DeadLetter) error {
	what := fmt.Sprintf("replay dead letter %d", letter.Number)
	if letter.Unreadable != nil {
		return fmt.Errorf("%s: %w", what, letter.Unreadable)
	}
	last, err := b.Chain(b.name).Last(ctx, letter.Event.ChainKey())
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if last.Sequence != letter.Sequence {
		return fmt.Errorf("%s: %q was followed by %q: %w", what, letter.Event.Fact, last.Fact, ErrAnswered)
	}
	if _, err := b.js.ResetConsumerToSequence(ctx, events.Stream, letter.Consumer, letter.Sequence); err != nil {
		return fmt.Errorf("%s: reset consumer %s: %w", what, letter.Consumer, err)
	}
	return nil
}
