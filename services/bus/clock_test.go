// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// A process whose clock is off by an hour neither fails requests whose deadline
// has not come, nor gives its successors a wrong one.
func TestF50_TheClockOfOneProcessIsOff(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			skewed := bustest.ConnectTo(t, bustest.Server(t), "skewed")
			skewed.SetLocalClock(off)
			// Its step stamps its answer by that clock, as the process would.
			run(t, skewed.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Source: "pauser", Step: answering(events.Requested,
				func(ctx context.Context, e events.Event) (events.Event, error) {
					deadline, ok := ctx.Deadline()
					require.True(t, ok)
					require.Greater(t, time.Until(deadline), 10*time.Minute, "the step has its time")
					return e.Next(events.Paused).Later(off), nil
				})}))
			first, err := b.chain.Begin(b.ctx, urgent("u1", 30*time.Minute))
			require.NoError(t, err)
			paused := b.becomes(t, first, events.Paused)
			require.WithinDuration(t, time.Now(), paused.Time, 10*time.Minute)
			require.Equal(t, 30*time.Minute, paused.Operation.Deadline.Sub(paused.Time))
			require.Equal(t, paused.Time, paused.Operation.History[1].Time)
		})
	}
}
