// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/events"
)

// reasonGivenUp is that of a request that fails because the broker gave up on its
// event.
const reasonGivenUp = "GivenUp"

// deadLetter is a message that the broker gave up on.
type deadLetter struct {
	// Consumer is who did not get it done.
	Consumer string
	// Sequence is the message's in [events.Stream], Deliveries how often it was
	// delivered.
	Sequence, Deliveries uint64
	// Reason is what the worker said that terminated the message; empty when it
	// was delivered too often.
	Reason string
	// Subject is the message's, Event the message itself.
	Subject string
	Event   events.Event
}

// deadLetter reads what a notice of [events.DeadLetterStream] is about. An error
// that wraps [events.ErrMalformed] means that the notice, or the message, can
// not be read, one that wraps [jetstream.ErrMsgNotFound] that it is not kept any
// more. The result then has all but the event.
func (b *Bus) deadLetter(ctx context.Context, notice []byte) (deadLetter, error) {
	var advisory struct {
		Consumer   string `json:"consumer"`
		Sequence   uint64 `json:"stream_seq"`
		Deliveries uint64 `json:"deliveries"`
		Reason     string `json:"reason"`
	}
	if err := json.Unmarshal(notice, &advisory); err != nil {
		return deadLetter{}, fmt.Errorf("%w: dead letter: %w", events.ErrMalformed, err)
	}
	g := deadLetter{Consumer: advisory.Consumer, Sequence: advisory.Sequence, Deliveries: advisory.Deliveries, Reason: advisory.Reason}
	message, err := b.atSequence(ctx, events.Stream, g.Sequence)
	if err != nil {
		return g, fmt.Errorf("dead letter of consumer %s: message %d: %w", g.Consumer, g.Sequence, err)
	}
	g.Subject = message.Subject
	event, err := events.Decode(message.Subject, message.Header, message.Data)
	if err != nil {
		return g, fmt.Errorf("dead letter of consumer %s: message %d on %s: %w", g.Consumer, g.Sequence, message.Subject, err)
	}
	event.Sequence = message.Sequence
	g.Event = event
	return g, nil
}

// steps are the consumers without whose answer a request cannot go on. That the
// watcher, or somebody else's consumer, gave up is no reason to fail it.
var steps = []string{events.PauserConsumer.Name, events.ExpanderConsumer.Name, events.UpdaterConsumer.Name}

// givenUp is what becomes of a chain whose last event the broker gave up on.
func givenUp(ctx context.Context, r *Runner, msg jetstream.Msg) (events.Event, *events.Failure, error) {
	g, err := r.bus.deadLetter(ctx, msg.Data())
	log := zerolog.Ctx(ctx).With().Str("by", g.Consumer).Uint64("message", g.Sequence).Uint64("deliveries", g.Deliveries).Logger()
	switch {
	case errors.Is(err, events.ErrMalformed), errors.Is(err, jetstream.ErrMsgNotFound):
		log.Error().Err(err).Msg("the broker gave up on a message that is no event")
		r.metrics.gaveUp(g.Consumer)
		return events.Event{}, nil, r.chain.mend(ctx, g.Subject)
	case err != nil:
		return events.Event{}, nil, err
	}
	log.Error().Str("request", g.Event.ChainKey().String()).Str("fact", string(g.Event.Fact)).Str("reason", g.Reason).Msg("the broker gave up on an event")
	r.metrics.gaveUp(g.Consumer)
	if !slices.Contains(steps, g.Consumer) || !g.Event.Fact.Precedes(events.Failed) {
		return g.Event, nil, nil
	}
	return g.Event, failure(g.Event, reasonGivenUp, g.words()), nil
}

// words say what happened and where to look.
func (g deadLetter) words() string {
	if g.Reason != "" {
		return fmt.Sprintf("the %s cannot read %q: %s", g.Consumer, g.Event.Fact, g.Reason)
	}
	return fmt.Sprintf("%q was delivered to the %s %d times and never answered: its workers died or were stopped each time; see their log",
		g.Event.Fact, g.Consumer, g.Deliveries)
}
