// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Subscription says what a subscriber wants to hear.
type Subscription struct {
	Filter
	// Durable is the name under which the broker remembers how far the
	// subscriber has come, across restarts and whatever number of processes
	// share it. Without one the broker forgets with the connection.
	Durable string
	// Since is where a subscription begins: with the first fact stored at or
	// after it. The zero time means with the oldest that is kept ([Retention]).
	// A durable subscription that is there already goes on where it was.
	Since time.Time
	// Unreadable is called by [History] with what is stored in a fact's place and is
	// none. It may be nil.
	Unreadable func(Unreadable)
}

// Unreadable is a message in the place of a fact that is no event.
type Unreadable struct {
	// Fact and Chain are what its subject claims.
	Fact  Fact
	Chain ChainKey
	// Time is when it was stored, Sequence its place in the stream.
	Time     time.Time
	Sequence uint64
	// Err says why it cannot be read.
	Err error
}

// Handler works on one event. It is called again with the same event, perhaps
// in another process, until it returns nil: an event's id ([Event.ID]) tells
// what was seen before.
type Handler func(context.Context, Event) error

// redeliveryDelay is how soon an event comes again that a handler could not work
// on.
const redeliveryDelay = 5 * time.Second

// turn is how long one answer of the broker is waited for: the client may have
// skipped to ask, and does so at the next turn.
const turn = 2 * time.Second

// handleTimeout is how long a handler may take before the broker gives the event
// to another process.
const handleTimeout = time.Minute

// Subscribe calls the handler with each fact that is chosen, one after another
// in the order of the stream, at least once each. It returns when the context
// ends, with nil, or when the broker cannot go on with the subscription. A
// message that is no event, or of a fact that this version does not know
// ([Fact.Known]), is passed over.
//
// A durable consumer that an administrator has provisioned is used as it is, so
// a subscriber needs no right to create one. Messages that it delivers and the
// filter does not choose are acknowledged and passed over.
func Subscribe(ctx context.Context, js jetstream.JetStream, s Subscription, handle Handler) error {
	return unlessEnded(ctx, s.run(ctx, js, handle))
}

// unlessEnded drops an error that came with the end of the context: whoever ends it
// asks for no more, at whatever step that is, the first included.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s Subscription) run(ctx context.Context, js jetstream.JetStream, handle Handler) error {
	consumer, err := s.bind(ctx, js)
	if err != nil {
		return fmt.Errorf("subscribe to stream %s: %w", Stream, err)
	}
	// One at a time: the order holds, and nothing waits here while another
	// process of the same durable is free.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return fmt.Errorf("subscribe to stream %s: %w", Stream, err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		msg, err := messages.Next(jetstream.NextMaxWait(turn))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoHeartbeat):
			continue // nothing to tell, or the connection is on its way back
		case err != nil:
			return fmt.Errorf("subscription to stream %s: %w", Stream, err)
		}
		if err := s.deliver(ctx, msg, handle); err != nil {
			return err
		}
	}
}

// deliver calls the handler, and tells the broker how it went.
func (s Subscription) deliver(ctx context.Context, msg jetstream.Msg, handle Handler) error {
	event, err := decodeStored(msg)
	if err == nil && event.Fact.Known() && s.Matches(event) {
		if err := handle(ctx, event); err != nil {
			return unlessClosed(msg.NakWithDelay(redeliveryDelay))
		}
	}
	return unlessClosed(msg.Ack())
}

// unlessClosed drops the error of an answer to a broker that is not there just
// now: the message comes again.
func unlessClosed(err error) error {
	if errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return fmt.Errorf("a message was answered twice: %w", err)
	}
	return nil
}

// bind returns the consumer of the subscription, which it creates unless it is
// there.
func (s Subscription) bind(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	if s.Durable != "" {
		consumer, err := js.Consumer(ctx, Stream, s.Durable)
		if err == nil || !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return consumer, err
		}
	}
	config := s.consumer()
	config.Durable, config.AckPolicy, config.AckWait = s.Durable, jetstream.AckExplicitPolicy, handleTimeout
	return js.CreateConsumer(ctx, Stream, config)
}

func (s Subscription) consumer() jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{FilterSubjects: s.Subjects(), DeliverPolicy: jetstream.DeliverAllPolicy}
	if !s.Since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.Since
	}
	return config
}

// History returns what is stored of the facts that the filter chooses, oldest
// first, and ends with the newest of the moment at which it was called. It asks
// the broker for a consumer that nobody acknowledges and that is gone soon
// after. An error ends it; what is no event is passed over, see
// [Subscription.Unreadable].
func History(ctx context.Context, js jetstream.JetStream, s Subscription) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		fail := func(err error) { yield(Event{}, fmt.Errorf("read stream %s: %w", Stream, err)) }
		config := s.consumer()
		config.AckPolicy, config.InactiveThreshold = jetstream.AckNonePolicy, time.Minute
		consumer, err := js.CreateConsumer(ctx, Stream, config)
		if err != nil {
			fail(err)
			return
		}
		for left := consumer.CachedInfo().NumPending; left > 0; {
			batch, err := consumer.Fetch(int(min(left, historyBatch)), jetstream.FetchContext(ctx))
			if err != nil {
				fail(err)
				return
			}
			before := left
			for msg := range batch.Messages() {
				left--
				event, err := decodeStored(msg)
				if err != nil {
					s.unreadable(msg, err)
				} else if !yield(event, nil) {
					return
				}
			}
			if err := errors.Join(batch.Error(), ctx.Err()); err != nil {
				fail(err)
				return
			}
			if left == before {
				return // what was pending has been removed meanwhile
			}
		}
	}
}

// unreadable tells of a message that is no event, if somebody wants to know.
func (s Subscription) unreadable(msg jetstream.Msg, err error) {
	fact, key, subjectErr := ParseSubject(msg.Subject())
	meta, metaErr := msg.Metadata()
	if s.Unreadable != nil && subjectErr == nil && metaErr == nil {
		s.Unreadable(Unreadable{Fact: fact, Chain: key, Time: meta.Timestamp, Sequence: meta.Sequence.Stream, Err: err})
	}
}

// historyBatch is how many messages are asked for at once.
const historyBatch = 500

// decodeStored is [Decode] with the sequence that the broker gave the message.
func decodeStored(msg jetstream.Msg) (Event, error) {
	event, err := Decode(msg.Subject(), msg.Headers(), msg.Data())
	if err != nil {
		return Event{}, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	event.Sequence = meta.Sequence.Stream
	return event, nil
}
