// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/events"
)

// flight is a message that is being worked on.
type flight struct {
	sequence uint64

	mu     sync.Mutex
	msg    jetstream.Msg
	event  events.Event
	cancel context.CancelCauseFunc
}

// message is the message as it was delivered last.
func (f *flight) message() jetstream.Msg {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.msg
}

// begin says which event the message is of, and how its step is ended.
func (f *flight) begin(event events.Event, cancel context.CancelCauseFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.event, f.cancel = event, cancel
}

// endIf ends the step if the condition holds for its event.
func (f *flight) endIf(condition func(events.Event) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel != nil && condition(f.event) {
		f.cancel(ErrChainEnded)
	}
}

// flights are the messages of a runner that are being worked on, by their
// sequence in their stream.
type flights struct {
	mu      sync.Mutex
	flights map[uint64]*flight
	waiters []chan struct{}
}

// board adds a message. A message that is here already is a second delivery:
// the flight goes on with it.
func (fs *flights) board(msg jetstream.Msg) (_ *flight, isNew bool) {
	var sequence uint64
	if meta, err := msg.Metadata(); err == nil { // it comes from the broker's own reply subject
		sequence = meta.Sequence.Stream
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f, ok := fs.flights[sequence]; ok {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.msg = msg
		return f, false
	}
	if fs.flights == nil {
		fs.flights = map[uint64]*flight{}
	}
	f := &flight{sequence: sequence, msg: msg}
	fs.flights[sequence] = f
	return f, true
}

// leave removes a flight.
func (fs *flights) leave(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.flights, f.sequence)
	if len(fs.flights) > 0 {
		return
	}
	for _, waiter := range fs.waiters {
		close(waiter)
	}
	fs.waiters = nil
}

// all returns the flights of this moment.
func (fs *flights) all() []*flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	all := make([]*flight, 0, len(fs.flights))
	for _, f := range fs.flights {
		all = append(all, f)
	}
	return all
}

// empty returns a channel that is closed once there are no flights.
func (fs *flights) empty() <-chan struct{} {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	waiter := make(chan struct{})
	if len(fs.flights) == 0 {
		close(waiter)
	} else {
		fs.waiters = append(fs.waiters, waiter)
	}
	return waiter
}

// follow keeps the messages in flight: it says to the broker every third of the
// AckWait that they are worked on, and ends the steps whose chain ended
// elsewhere. It ends with the context; the returned function waits for that.
func (r *Runner) follow(ctx context.Context, ackWait time.Duration) (stop func(), _ error) {
	var subscriptions []*nats.Subscription
	unsubscribe := func() {
		for _, subscription := range subscriptions {
			if err := subscription.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
				zerolog.Ctx(ctx).Debug().Err(err).Msg("cannot unsubscribe")
			}
		}
	}
	if !r.cfg.Observer {
		for _, fact := range []events.Fact{events.Failed, events.Cancelled} {
			subscription, err := r.bus.conn.Subscribe(events.LiveFilter(fact), r.onLive)
			if err != nil {
				unsubscribe()
				return nil, fmt.Errorf("listen to %s: %w", events.LiveFilter(fact), err)
			}
			subscriptions = append(subscriptions, subscription)
		}
	}
	reconnected := make(chan struct{}, 1)
	forget := r.bus.afterReconnect(func() {
		select {
		case reconnected <- struct{}{}:
		default:
		}
	})
	var workers sync.WaitGroup
	workers.Go(func() { r.heartbeat(ctx, ackWait/3, reconnected, &workers) })
	return func() { workers.Wait(); forget(); unsubscribe() }, nil
}

// heartbeat says that the messages in flight are worked on, from one ticker for
// all. After a reconnect it does so at once, and looks at the chains, whose ends
// may have been missed.
func (r *Runner) heartbeat(ctx context.Context, every time.Duration, reconnected <-chan struct{}, workers *sync.WaitGroup) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-reconnected:
			workers.Go(func() { r.recheck(ctx) })
		case <-ctx.Done():
			return
		}
		for _, f := range r.flights.all() {
			err := f.message().InProgress()
			if err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
				zerolog.Ctx(ctx).Debug().Err(err).Msg("cannot tell the broker that a message is worked on")
			}
		}
	}
}

// onLive ends the steps of a chain that failed or was cancelled. The event that
// says so may be in flight here itself, so it matters which came first.
func (r *Runner) onLive(msg *nats.Msg) {
	_, key, err := events.ParseSubject(msg.Subject)
	if err != nil {
		return // a stranger's message; the chain is the truth
	}
	sequence, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return
	}
	for _, f := range r.flights.all() {
		f.endIf(func(e events.Event) bool { return e.ChainKey() == key && e.Sequence < sequence })
	}
}

// recheck ends the steps whose chain went on while the connection was lost.
func (r *Runner) recheck(ctx context.Context) {
	if r.cfg.Observer {
		return
	}
	for _, f := range r.flights.all() {
		f.mu.Lock()
		event, begun := f.event, f.cancel != nil
		f.mu.Unlock()
		if !begun {
			continue // it looks itself, at its begin
		}
		for attempt := 1; attempt <= len(retryDelays); attempt++ {
			last, err := r.chain.newestSince(ctx, event.ChainKey(), event.Sequence, lagPatience)
			if err == nil || errors.Is(err, ErrNoChain) {
				f.endIf(func(events.Event) bool { return last.Sequence != event.Sequence })
				break
			}
			if pause(ctx, retryDelay(attempt)) != nil {
				return
			}
		}
	}
}
