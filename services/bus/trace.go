// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/opsrelay/opsrelay/events"
)

// A request is one trace: the span that publishes its first event begins it, each
// step is a span below the one that published what it answers, and a redelivery is
// one more of these. Names and attributes follow OpenTelemetry's semantic
// conventions for messaging, which know no NATS: its name is our own.

// scope names who made the spans.
const scope = "github.com/opsrelay/opsrelay/services/bus"

// carrier is W3C's way to write a span as text.
var carrier = propagation.TraceContext{}

// tracer is that of the process; it does nothing unless one was set up.
func tracer() trace.Tracer { return otel.GetTracerProvider().Tracer(scope) }

// startSend begins the span in which an event is published, and puts it into the
// event.
func startSend(ctx context.Context, e events.Event) (context.Context, trace.Span, events.Event) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = remote(ctx, e.Trace.Parent) // nobody's step: a timer, a cancellation
	}
	ctx, span := tracer().Start(ctx, "send "+string(e.Fact), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attributes(e, "publish", "send")...))
	if span.SpanContext().IsValid() {
		header := propagation.MapCarrier{}
		carrier.Inject(ctx, header)
		e.Trace.Parent = header.Get(events.HeaderTraceParent)
		if e.Trace.Origin == "" {
			e.Trace.Origin = e.Trace.Parent
		}
	}
	return ctx, span, e
}

// startProcess begins the span of a step that answers a delivered event.
func startProcess(ctx context.Context, consumer string, msg jetstream.Msg, e events.Event) (context.Context, trace.Span) {
	all := append(attributes(e, "process", "process"), attribute.String("messaging.consumer.group.name", consumer))
	if meta, err := msg.Metadata(); err == nil {
		all = append(all, attribute.Int64("nats.stream.sequence", int64(meta.Sequence.Stream)),
			attribute.Int64("nats.delivery.count", int64(meta.NumDelivered)))
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(all...)}
	if origin := trace.SpanContextFromContext(remote(context.Background(), e.Trace.Origin)); origin.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: origin}))
	}
	return tracer().Start(remote(ctx, e.Trace.Parent), "process "+string(e.Fact), options...) //nolint:spancheck // endProcess ends it
}

// endProcess ends the span of a step.
func endProcess(span trace.Span, o outcome) {
	span.SetAttributes(attribute.String("opsrelay.outcome", string(o)))
	switch o {
	case outcomeFailed, outcomeGaveUp, outcomePoison:
		span.SetAttributes(attribute.String("error.type", string(o)))
		span.SetStatus(codes.Error, string(o))
	default: // the step did what it was to do, or another has
	}
	span.End()
}

func attributes(e events.Event, operation, kind string) []attribute.KeyValue {
	request := e.Operation.Request
	return []attribute.KeyValue{
		attribute.String("messaging.system", "nats"),
		attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.operation.type", kind),
		attribute.String("messaging.destination.name", e.Subject()),
		attribute.String("messaging.destination.template", events.FactFilter(e.Fact)),
		attribute.String("messaging.message.id", e.ID()),
		attribute.String("messaging.message.conversation_id", request.UID),
		attribute.String("opsrelay.request", request.Namespace+"/"+request.Name),
	}
}

// remote returns a context in which the span of the text is the parent.
func remote(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return carrier.Extract(ctx, propagation.MapCarrier{events.HeaderTraceParent: traceparent})
}
