// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"testing"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// A service that is stopped while it starts ends well.
func TestD09_AStopWhileARunnerStartsIsNoError(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*bundle, context.Context) error{
		"runner":   func(b *bundle, ctx context.Context) error { return b.runner(newHolder()).Run(ctx) },
		"progress": func(b *bundle, ctx context.Context) error { return b.bus.WatchProgress(ctx, func(events.Progress) {}) },
		"runner that loses its connection": func(b *bundle, ctx context.Context) error {
			lost := bustest.Connect(t, "lost")
			defer context.AfterFunc(ctx, func() { _ = lost.Close(ctx) })()
			return (&bundle{bus: lost}).runner(newHolder()).Run(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			bustest.StopsAtAnyMoment(t, func(ctx context.Context) error { return run(b, ctx) })
		})
	}
}
