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
	"go.opentelemetry.io/otel/trace"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/faultpoint"
)

// judge reads a message that may tell of a fact that was not answered. It returns
// that event, and the failure to answer it with; nil when nothing is to be done, and
// the error [NotYet] when that is to be seen later.
type judge func(ctx context.Context, r *Runner, msg jetstream.Msg) (events.Event, *events.Failure, error)

// judges are the consumers whose messages are judged; those of all others are facts
// that a step answers.
var judges = map[string]judge{
	events.TimeoutConsumer.Name:    overdue,
	events.DeadLetterConsumer.Name: givenUp,
}

// handle works on one message, and says how that went.
func (r *Runner) handle(ctx context.Context, f *flight) {
	name, began := r.cfg.Consumer.Name, time.Now()
	r.metrics.inFlight.WithLabelValues(name).Inc()
	defer r.metrics.inFlight.WithLabelValues(name).Dec()

	msg := f.message()
	log := zerolog.Ctx(ctx).With()
	if meta, err := msg.Metadata(); err == nil {
		if meta.NumDelivered == 1 { // one that is handed over is old and did not wait
			r.metrics.age.WithLabelValues(name).Observe(began.Sub(meta.Timestamp).Seconds())
		}
		log = log.Uint64("seq", meta.Sequence.Stream).Uint64("delivery", meta.NumDelivered)
	}
	o, logger := r.work(log.Logger().WithContext(ctx), f, msg)

	took := time.Since(began)
	r.metrics.handled.WithLabelValues(name, string(o)).Inc()
	r.metrics.duration.WithLabelValues(name, string(o)).Observe(took.Seconds())
	level := zerolog.InfoLevel
	if o == outcomeSentBack {
		level = zerolog.DebugLevel // every fact is, once
	}
	logger.WithLevel(level).Str("outcome", string(o)).Dur("took_ms", took).Msg("message handled")
}

// work does what the message asks for. It returns the logger that knows the
// event.
func (r *Runner) work(ctx context.Context, f *flight, msg jetstream.Msg) (outcome, *zerolog.Logger) {
	if judge, ok := judges[r.cfg.Consumer.Name]; ok {
		return r.judge(ctx, f, msg, judge)
	}
	event, err := decode(msg)
	switch {
	case err != nil:
		return r.poison(ctx, msg, err), zerolog.Ctx(ctx)
	case r.bus.isForeign(event):
		return r.refuse(ctx, msg, event), zerolog.Ctx(ctx)
	case !event.Fact.Known():
		r.once(ctx, event.Fact)
		return r.job(ctx, f, event).acknowledge(outcomeIgnored), zerolog.Ctx(ctx)
	}
	ctx, span := startProcess(ctx, r.cfg.Consumer.Name, msg, event)
	j := r.job(ctx, f, event)
	ending, cancel := context.WithCancelCause(j.alive)
	defer cancel(nil)
	j.ctx = ending
	if !r.cfg.Observer {
		f.begin(event, cancel)
	}
	o := j.run()
	endProcess(span, o)
	return o, j.log()
}

// job is the work on the event, with a logger that knows it.
func (r *Runner) job(ctx context.Context, f *flight, event events.Event) *job {
	log := zerolog.Ctx(ctx)
	if request := event.Operation.Request; request.Name != "" {
		named := log.With().Str("request", request.Namespace+"/"+request.Name).Str("fact", string(event.Fact))
		if span := trace.SpanContextFromContext(ctx); span.IsValid() {
			named = named.Stringer("trace", span.TraceID())
		}
		logger := named.Logger()
		log = &logger
	}
	ctx = log.WithContext(ctx)
	return &job{runner: r, flight: f, event: event, step: r.cfg.Step, alive: ctx, ctx: ctx}
}

// judge fails the chain that the message tells of, if that is called for, and
// tries again until that is known or the process ends.
func (r *Runner) judge(ctx context.Context, f *flight, msg jetstream.Msg, judge judge) (outcome, *zerolog.Logger) {
	for attempt := 1; ; attempt++ {
		faultpoint.At("before handle", r.cfg.Consumer.Name)
		event, failure, err := judge(ctx, r, msg)
		j := r.job(ctx, f, event)
		var notYet *notYet
		if errors.As(err, &notYet) {
			return j.sendBack(notYet.after), j.log()
		}
		if err == nil && failure == nil {
			return j.acknowledge(outcomeDone), j.log()
		}
		if err == nil && r.bus.isForeign(event) {
			return r.refuse(ctx, msg, event), j.log()
		}
		if err == nil {
			// What cannot be published is judged again: whoever could not publish
			// either may then have answered.
			var o outcome
			if o, err = j.publish(event.Failed(*failure), outcomeFailed); err == nil {
				return o, j.log()
			}
		}
		switch {
		case errors.Is(err, events.ErrMalformed):
			return r.poison(ctx, msg, err), j.log()
		case ctx.Err() != nil:
			return j.handOver(), j.log()
		}
		j.log().Warn().Int("attempt", attempt).Err(err).Msg("cannot tell what to do, trying again")
		r.bus.pauseToPublish(ctx, retryDelay(attempt))
	}
}

// decode reads a fact as it was delivered.
func decode(msg jetstream.Msg) (events.Event, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return events.Event{}, fmt.Errorf("%w: %w", events.ErrMalformed, err)
	}
	event, err := events.Decode(msg.Subject(), msg.Headers(), msg.Data())
	event.Sequence = meta.Sequence.Stream
	return event, err
}

// poison has the broker forget a message that is no event. Its notice of that
// goes to the dead letters.
func (r *Runner) poison(ctx context.Context, msg jetstream.Msg, err error) outcome {
	zerolog.Ctx(ctx).Error().Str("subject", msg.Subject()).Err(err).Msg("message is no event, giving up on it")
	if err := msg.TermWithReason(err.Error()); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("cannot tell the broker, the message will come again")
	}
	return outcomePoison
}

// once tells of an unknown fact the first time that it is met.
func (r *Runner) once(ctx context.Context, fact events.Fact) {
	if _, met := r.unknown.LoadOrStore(fact, struct{}{}); !met {
		zerolog.Ctx(ctx).Debug().Str("fact", string(fact)).Msg("unknown fact, not ours")
	}
}
