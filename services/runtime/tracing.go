// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Tracing says where the process's spans go.
type Tracing struct {
	// Endpoint is the URL of an OpenTelemetry collector that speaks OTLP over
	// HTTP; empty for no tracing.
	Endpoint string
}

// AddFlags adds the flags of tracing.
func (t *Tracing) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&t.Endpoint, "otlp-endpoint", "", "URL of an OpenTelemetry collector (OTLP over HTTP), http://otel-collector:4318 for one; empty for no traces")
}

// Start has the process's spans exported, and returns what sends the last of them.
// A collector that is not there costs spans and nothing else.
func (t Tracing) Start(ctx context.Context, service string) (stop func(context.Context) error, _ error) {
	if t.Endpoint == "" {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(t.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("--otlp-endpoint: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", "opsrelay-"+service), attribute.String("service.version", Version()))))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}
