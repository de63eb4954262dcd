// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

const (
	defaultConcurrency = 1024
	// pullExpiry is how long one request for a message stands, pullHeartbeat how
	// often the broker says meanwhile that it still does.
	pullExpiry    = 30 * time.Second
	pullHeartbeat = 5 * time.Second
	// loopTurn is the longest that the loop waits at one place, firstTurn how long
	// after a message, deadAfter when a loop that has not turned counts as dead.
	loopTurn  = 20 * time.Second
	firstTurn = 20 * time.Millisecond
	deadAfter = 3 * loopTurn
	// handOverGrace is how long a shutdown waits for steps to return. What has
	// not returned then is handed over all the same: its successor will lose the
	// race.
	handOverGrace = 10 * time.Second
)

var (
	errNotStarted = errors.New("not started")
	// errGone says that a consumer was there and is not any more.
	errGone = errors.New("the consumer is gone")
)

// Runner turns the messages of one durable consumer into calls of a step: pull,
// handle, publish the successor, acknowledge.
type Runner struct {
	cfg     RunnerConfig
	bus     *Bus
	chain   *Chain
	metrics *metrics
	flights flights
	// slots has a place for each event that may be worked on at once.
	slots chan struct{}
	// turned is when the loop last turned, in Unix nanoseconds.
	turned atomic.Int64
	// unknown has the facts that were met and are none of this version.
	unknown sync.Map
	// lookedAt has the sequences of the overdue facts that are looked at once more.
	lookedAt sync.Map

	mu    sync.Mutex
	state error // why it is not ready
}

// NewRunner returns a runner that is to be Run once.
func (b *Bus) NewRunner(cfg RunnerConfig) *Runner {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = defaultConcurrency
	}
	r := &Runner{
		cfg: cfg, bus: b, chain: b.Chain(cfg.Source), metrics: b.metricsIn(cfg.Registerer),
		slots: make(chan struct{}, cfg.Concurrency),
	}
	r.metrics.expect(cfg.Consumer.Name)
	r.setState(errNotStarted)
	return r
}

// Ready returns nil when the runner can take messages, otherwise the reason in
// words.
func (r *Runner) Ready() error {
	if err := r.bus.Ready(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != nil {
		return fmt.Errorf("consumer %s: %w", r.cfg.Consumer.Name, r.state)
	}
	return nil
}

// Live returns nil while the runner's loop turns, or has not begun to.
func (r *Runner) Live() error {
	turned := r.turned.Load()
	if turned == 0 {
		return nil
	}
	if still := time.Since(time.Unix(0, turned)); still > deadAfter {
		return fmt.Errorf("consumer %s: no message was asked for in %s", r.cfg.Consumer.Name, still.Round(time.Second))
	}
	return nil
}

// Run works until the context ends; then it takes no more messages, ends the
// steps with cause [ErrShutdown], hands over what is unfinished and returns nil.
// It waits for a consumer that is not provisioned, at first or again after it or
// its stream was deleted, and returns an error when its connection is gone for
// good.
func (r *Runner) Run(ctx context.Context) error {
	log := zerolog.Ctx(ctx).With().Str("consumer", r.cfg.Consumer.Name).Logger()
	ctx = log.WithContext(ctx)
	for {
		err := r.serve(ctx)
		switch {
		case ctx.Err() != nil:
			if err != nil {
				log.Warn().Err(err).Msg("asked to end in the middle of its start")
			}
			return nil
		case !errors.Is(err, errGone), r.bus.conn.IsClosed():
			return err
		}
		log.Error().Err(err).Msg("waiting until the consumer is provisioned again")
		r.setState(err)
		if pause(ctx, retryDelay(1)) != nil {
			return nil
		}
	}
}

// serve works until the context ends or the consumer is gone.
func (r *Runner) serve(ctx context.Context) error {
	consumer, err := r.bind(ctx)
	if err != nil {
		return nil // the context ended first
	}
	// Steps end after the loop, and with a cause.
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	stopFollowing, err := r.follow(work, consumer.CachedInfo().Config.AckWait)
	if err != nil {
		stop(err)
		return err
	}
	messages, err := consumer.Messages(
		jetstream.PullMaxMessages(1), // prefetched messages would wait here while others idle
		jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		stop(err)
		stopFollowing()
		return fmt.Errorf("consume %s: %w", r.cfg.Consumer.Name, err)
	}
	r.setState(nil)
	err = r.pull(ctx, work, consumer, messages)
	r.setState(ErrShutdown)
	r.stopPulling(ctx, messages)
	stop(ErrShutdown)
	r.handOver(ctx)
	stopFollowing()
	if err != nil {
		return fmt.Errorf("consume %s: %w", r.cfg.Consumer.Name, err)
	}
	return nil
}

// bind finds the consumer. Services never create theirs: with none there, they
// could not be started by its lag.
func (r *Runner) bind(ctx context.Context) (jetstream.Consumer, error) {
	r.turned.Store(0) // a process that waits for its consumer is not dead
	for attempt := 1; ; attempt++ {
		consumer, err := r.bus.consumer(ctx, r.cfg.Consumer)
		switch {
		case err == nil:
			return consumer, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
		r.setState(err)
		r.bus.tellUnbound(ctx, attempt, err)
		if err := pause(ctx, bindDelay(attempt)); err != nil {
			return nil, err
		}
	}
}

// pull asks for one message after the other, each only when there is a place to
// work on it.
func (r *Runner) pull(ctx, work context.Context, consumer jetstream.Consumer, messages jetstream.MessagesContext) error {
	for {
		if !r.takeSlot(ctx) {
			return nil
		}
		msg, err := r.next(ctx, consumer, messages)
		if msg == nil {
			<-r.slots
			return err
		}
		f, isNew := r.flights.board(msg)
		if !isNew {
			<-r.slots // worked on here already: a connection was lost for longer than AckWait
			continue
		}
		go func() {
			defer func() { r.flights.leave(f); <-r.slots }()
			r.handle(work, f)
		}()
	}
}

// takeSlot reports false when the context ended first.
func (r *Runner) takeSlot(ctx context.Context) bool {
	ticker := time.NewTicker(loopTurn)
	defer ticker.Stop()
	for {
		r.turned.Store(time.Now().UnixNano())
		select {
		case <-ctx.Done():
			return false
		default:
		}
		select {
		case r.slots <- struct{}{}:
			return true
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

// next returns the next message; nil and no error when the context ended, nil
// and an error when there will never be one.
//
// The client looks once a call whether it has to ask the broker, and skips that
// when its last question is just being sent: the answer may be quicker. It would
// then wait for nothing until heartbeats are missed. So the first wait is short.
func (r *Runner) next(ctx context.Context, consumer jetstream.Consumer, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	for wait := firstTurn; ; wait = loopTurn {
		r.turned.Store(time.Now().UnixNano())
		turn, cancel := context.WithTimeout(ctx, wait)
		msg, err := messages.Next(jetstream.NextContext(turn))
		cancel()
		switch {
		case err == nil:
			return msg, nil
		case ctx.Err() != nil:
			return nil, nil
		case errors.Is(err, context.DeadlineExceeded):
			r.setState(nil)
		case errors.Is(err, jetstream.ErrMsgIteratorClosed), errors.Is(err, jetstream.ErrConsumerDeleted),
			errors.Is(err, jetstream.ErrBadRequest), errors.Is(err, nats.ErrConnectionClosed):
			return nil, fmt.Errorf("%w: %w", errGone, err)
		default:
			if err := r.missing(ctx, consumer, err); err != nil {
				return nil, err
			}
		}
	}
}

// missing is called when the broker fell silent: a consumer that was deleted
// while no request stood is told of by nobody.
func (r *Runner) missing(ctx context.Context, consumer jetstream.Consumer, silence error) error {
	began := time.Now()
	info, err := consumer.Info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%w: %w", errGone, err)
	case ctx.Err() != nil:
		return nil
	case err != nil:
		r.setState(fmt.Errorf("the broker does not answer: %w", err))
		zerolog.Ctx(ctx).Warn().Err(errors.Join(silence, err)).Msg("the broker does not answer, asking again")
	default:
		r.bus.clock.set(info.TimeStamp, began)
		r.setState(nil)
	}
	return nil
}

func (r *Runner) setState(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = err
	ready := 0.0
	if err == nil {
		ready = 1
	}
	r.metrics.ready.WithLabelValues(r.cfg.Consumer.Name).Set(ready)
}
