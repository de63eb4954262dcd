// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// Logging says how a process logs.
type Logging struct {
	// Level is the least level that is written: debug, info, warn, error.
	Level string
	// Format is json, a line of JSON for each entry, or console, for people.
	Format string
}

// AddFlags adds the flags of the logging, with their defaults.
func (l *Logging) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&l.Level, "log-level", "info", "least level that is logged: debug, info, warn, error")
	flags.StringVar(&l.Format, "log-format", "json", "json, or console for people")
}

// Logger returns the process's logger, which names the service in each entry, unless
// that is empty: a process of several names each itself.
// What client-go logs is sent there too.
func (l Logging) Logger(out io.Writer, service string) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(l.Level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("--log-level: %w", err)
	}
	switch l.Format {
	case "json":
	case "console":
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly}
	default:
		return zerolog.Nop(), fmt.Errorf("--log-format: %q is neither json nor console", l.Format)
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano
	zerolog.DurationFieldUnit = time.Millisecond
	logger := zerolog.New(out).Level(level).With().Timestamp().Logger()
	if service != "" {
		logger = logger.With().Str("service", service).Logger()
	}
	zerolog.DefaultContextLogger = &logger
	klog.SetSlogLogger(slog.New(zerolog.NewSlogHandler(logger.Level(max(level, zerolog.WarnLevel)))))
	return logger, nil
}
