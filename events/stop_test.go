// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"context"
	"testing"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// Whoever stops a subscriber, or the board, while it starts is told of no error.
func TestD09_AStopWhileASubscriptionBeginsIsNoError(t *testing.T) {
	t.Parallel()
	js := bustest.Connect(t, "subscriber").JetStream()
	published(t, js, "one", "demo", events.Resumed)
	subscribe := func(s events.Subscription) func(context.Context) error {
		return func(ctx context.Context) error {
			return events.Subscribe(ctx, js, s, func(context.Context, events.Event) error { return nil })
		}
	}
	for name, run := range map[string]func(context.Context) error{
		"facts":    subscribe(events.Subscription{}),
		"durable":  subscribe(events.Subscription{Durable: "stopped"}),
		"progress": func(ctx context.Context) error { return events.FollowProgress(ctx, js, func(events.Progress) {}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bustest.StopsAtAnyMoment(t, run)
		})
	}
}
