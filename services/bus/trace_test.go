// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// spans records those of this process. Setting it up once is enough: a test looks
// for the spans of its own request.
var spans = sync.OnceValue(func() *tracetest.SpanRecorder {
	recorder := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	return recorder
})

// spansOf waits until the request has so many spans that have ended.
func spansOf(t *testing.T, uid string, n int) []sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	require.Eventually(t, func() bool {
		found = nil
		for _, span := range spans().Ended() {
			for _, a := range span.Attributes() {
				if a.Key == "messaging.message.conversation_id" && a.Value.AsString() == uid {
					found = append(found, span)
				}
			}
		}
		return len(found) >= n
	}, patience, tick, "the request has no %d spans", n)
	return found
}

func attributeOf(span sdktrace.ReadOnlySpan, key string) attribute.Value {
	for _, a := range span.Attributes() {
		if string(a.Key) == key {
			return a.Value
		}
	}
	return attribute.Value{}
}

// A request is one trace, whoever works on it and however often: a step is a span
// below the one that published what it answers, and a redelivery another one.
func TestARequestIsOneTrace(t *testing.T) {
	t.Parallel()
	spans()
	b := setup(t)
	uid := uuid.NewString() // all spans of the process are kept
	first := b.begin(t, uid)
	require.NotEmpty(t, first.Trace.Parent)
	require.Equal(t, first.Trace.Parent, first.Trace.Origin)

	// The first worker gives its work back, as one does that is shut down.
	begun := make(chan struct{}, 1)
	stop := run(t, b.runner(bus.StepFunc(func(ctx context.Context, _ events.Event, _ bus.Confirm) (events.Event, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return events.Event{}, ctx.Err()
	})))
	receive(t, begun)
	stop()
	run(t, b.runner(pauser))
	paused := b.becomes(t, first, events.Paused)
	require.Equal(t, first.Trace.Origin, paused.Trace.Origin)

	all := spansOf(t, uid, 4)
	require.Len(t, all, 4)
	names := map[string][]sdktrace.ReadOnlySpan{}
	for _, span := range all {
		require.Equal(t, all[0].SpanContext().TraceID(), span.SpanContext().TraceID(), span.Name())
		names[span.Name()] = append(names[span.Name()], span)
	}
	require.Len(t, names["send requested"], 1)
	require.Len(t, names["process requested"], 2, "the first delivery, and the redelivery")
	require.Len(t, names["send paused"], 1)
	sent := names["send requested"][0]
	for i, process := range names["process requested"] {
		require.Equal(t, sent.SpanContext().SpanID(), process.Parent().SpanID())
		require.Equal(t, int64(i+1), attributeOf(process, "nats.delivery.count").AsInt64())
		require.Equal(t, "nats", attributeOf(process, "messaging.system").AsString())
		require.Equal(t, sent.SpanContext().SpanID(), process.Links()[0].SpanContext.SpanID(), "the creation of the chain")
	}
	require.Equal(t, "handover", attributeOf(names["process requested"][0], "opsrelay.outcome").AsString())
	require.Equal(t, names["process requested"][1].SpanContext().SpanID(), names["send paused"][0].Parent().SpanID())
}
