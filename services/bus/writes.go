// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
)

// A broker that answers is not yet one that stores. A stream may be full, and a
// server whose disk was full for a moment says nothing to a publisher any more,
// until it is restarted: its connection stands, what it has stored can be read,
// and messages are delivered. Only a write shows that.
//
// So what counts is how the last write went. While it went wrong, and only then,
// a small message of no chain is tried now and then, so that a process that has
// nothing more to publish sees, too, that it is over.

const (
	// probeEvery is how often at most a broker that does not store is tried.
	probeEvery = 10 * time.Second
	// mutePatience is how long a broker that does not answer a publisher is put up
	// with before the process counts as dead.
	mutePatience = 2 * time.Minute
)

// writes is how the broker's streams took what this connection published last.
type writes struct {
	mu sync.Mutex
	// refused are the streams that did not store it.
	refused map[string]*refusal
	// stored is when the stream of the chains last stored something, restored when
	// every stream last began to store again.
	stored, restored time.Time
	// again is closed and replaced then.
	again chan struct{}
	// changed are called when a stream begins or ceases to refuse.
	changed map[*func()]struct{}
}

// refusal is why a stream does not store, and since when.
type refusal struct {
	err   error
	since time.Time
}

// NotStored says that the broker does not store what is published.
type NotStored struct {
	// Stream is where it would be.
	Stream string
	// Since is when it was first seen, by this machine's clock.
	Since time.Time
	// Err is the newest answer; a timeout where the broker gives none.
	Err error
}

// Error implements error. It says what to do.
func (n *NotStored) Error() string {
	return fmt.Sprintf("the broker has not stored anything in stream %s since %s: %s (%s)", n.Stream, n.Since.UTC().Format(time.RFC3339), n.Err, n.advice())
}

// Unwrap returns Err.
func (n *NotStored) Unwrap() error { return n.Err }

// mute reports whether the broker gives no answer, rather than a refusal.
func (n *NotStored) mute() bool {
	var apiErr *jetstream.APIError
	return !errors.As(n.Err, &apiErr)
}

func (n *NotStored) advice() string {
	if n.mute() {
		return "is its disk full? A NATS server whose disk was full has to be restarted once there is room"
	}
	return MakeRoom
}

// MakeRoom is what to do about a stream that is full, or nearly.
const MakeRoom = "give it more with opsrelay provision --max-bytes, or purge requests that ended long ago: nats stream purge " + events.Stream + " --keep=10000"

// wrote takes note of how the broker answered what was published to the stream.
// What does not tell whether it would be stored changes nothing.
func (b *Bus) wrote(stream string, err error) {
	if saysNothing(err) {
		return
	}
	w := &b.writes
	w.mu.Lock()
	was := w.refused[stream]
	switch {
	case err == nil:
		delete(w.refused, stream)
		if stream == events.Stream {
			w.stored = time.Now()
		}
	case was == nil:
		if w.refused == nil {
			w.refused = map[string]*refusal{}
		}
		w.refused[stream] = &refusal{err: err, since: time.Now()}
	default:
		was.err = err
	}
	first, over := was == nil && err != nil, was != nil && err == nil
	if over && len(w.refused) == 0 {
		w.restored = time.Now()
		close(w.again)
		w.again = make(chan struct{})
	}
	w.mu.Unlock()
	switch {
	case first:
		b.log.Warn().Str("stream", stream).Err(err).Msg("the broker does not store what is published")
		go b.probeUntilStored(stream)
	case over:
		b.log.Info().Str("stream", stream).Msg("the broker stores what is published again")
	default:
		return
	}
	b.tellWritable()
	for _, callback := range w.listeners() {
		callback()
	}
}

// saysNothing reports whether an answer leaves open whether the stream stores: the
// caller gave up, the connection is being closed, or the message itself was at
// fault, which is looked at before.
func saysNothing(err error) bool {
	var apiErr *jetstream.APIError
	switch {
	case err == nil:
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining),
		errors.Is(err, nats.ErrMaxPayload), errors.Is(err, ErrShutdown), errors.Is(err, ErrChainEnded), isConflict(err):
		return true
	case errors.As(err, &apiErr):
		return apiErr.ErrorCode == errCodeTooLarge
	default:
		return false
	}
}

// errCodeTooLarge is the broker's code for a message that is larger than the
// stream takes.
const errCodeTooLarge jetstream.ErrorCode = 10054

// Writable returns nil while the broker stores what this process publishes, as far
// as its last answer tells, otherwise a [*NotStored].
func (b *Bus) Writable() error {
	w := &b.writes
	w.mu.Lock()
	defer w.mu.Unlock()
	for stream, refused := range w.refused {
		return &NotStored{Stream: stream, Since: refused.since, Err: refused.err}
	}
	return nil
}

// Live returns an error when the broker has given no answer to what was published
// for so long that the process had better be restarted. A broker that refuses says
// so, and a restart would not change its mind; nor does it mend a connection that
// is being made again.
func (b *Bus) Live() error {
	var not *NotStored
	if b.conn.IsConnected() && errors.As(b.Writable(), &not) && not.mute() && time.Since(not.Since) > mutePatience {
		return not
	}
	return nil
}

// Probe finds out whether the broker stores in the stream of the chains, unless
// that was seen less than age ago. Its result is [Bus.Writable]'s.
func (b *Bus) Probe(ctx context.Context, age time.Duration) {
	b.writes.mu.Lock()
	fresh := time.Since(b.writes.stored) < age || len(b.writes.refused) > 0
	b.writes.mu.Unlock()
	if !fresh {
		b.probe(ctx, events.Stream)
	}
}

// ErrMute says that the broker gave no answer to what was published.
var ErrMute = errors.New("the broker does not answer what is published")

// Try stores a message of no chain in the stream of the chains, in the name of the
// given client, and returns why that did not work: [ErrMute], or the broker's
// refusal.
func Try(ctx context.Context, js jetstream.JetStream, client string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := js.PublishMsg(ctx, nats.NewMsg(events.ProbeSubject(client)), jetstream.WithExpectStream(events.Stream))
	if apiErr := new(jetstream.APIError); err != nil && !errors.As(err, &apiErr) {
		return fmt.Errorf("%w: %w", ErrMute, err)
	}
	return err
}

// probe publishes a message of no chain.
func (b *Bus) probe(ctx context.Context, stream string) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	message, options := nats.NewMsg(events.ProbeSubject(b.name)), []jetstream.PublishOpt{jetstream.WithExpectStream(stream)}
	_, err := b.js.PublishMsg(ctx, message, options...)
	b.wrote(stream, err)
}

// probeUntilStored tries until the stream stores again or the connection ends.
func (b *Bus) probeUntilStored(stream string) {
	for attempt := 1; ; attempt++ {
		select {
		case <-time.After(min(retryDelay(attempt), probeEvery)):
		case <-b.closed:
			return
		}
		b.writes.mu.Lock()
		refused := b.writes.refused[stream] != nil
		b.writes.mu.Unlock()
		if !refused {
			return
		}
		if b.conn.IsConnected() {
			b.probe(context.Background(), stream)
		}
	}
}

// OnWritable has the callback called, which must not block, whenever
// [Bus.Writable] changes, until the returned function is called.
func (b *Bus) OnWritable(callback func()) (stop func()) {
	w := &b.writes
	w.mu.Lock()
	defer w.mu.Unlock()
	key := &callback
	w.changed[key] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.changed, key)
	}
}

func (w *writes) listeners() []func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	callbacks := make([]func(), 0, len(w.changed))
	for callback := range w.changed {
		callbacks = append(callbacks, *callback)
	}
	return callbacks
}

// pauseToPublish is a pause of somebody who could not publish: it ends early when
// the broker stores again, or with the context.
func (b *Bus) pauseToPublish(ctx context.Context, d time.Duration) {
	b.writes.mu.Lock()
	again := b.writes.again
	b.writes.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-again:
	case <-ctx.Done():
	}
}

// settling returns how long it is until those who could not publish have had the
// time to: the broker, or the way to it, has only just come back.
func (b *Bus) settling() time.Duration {
	b.writes.mu.Lock()
	restored := b.writes.restored
	b.writes.mu.Unlock()
	b.mu.Lock()
	if b.reconnectedAt.After(restored) {
		restored = b.reconnectedAt
	}
	b.mu.Unlock()
	return settleTime - time.Since(restored)
}

// settleTime is how long those who could not publish are waited for.
const settleTime = 30 * time.Second
