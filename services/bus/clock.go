// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"sync/atomic"
	"time"

	"github.com/opsrelay/opsrelay/services/faultpoint"
)

// clock is the broker's. A deadline is one moment for every process, so that none
// may judge it by a clock of its own, which may be wrong: what the broker said
// once is carried on by the time that has passed here since, which no setting of
// the wall clock changes.
type clock struct{ said atomic.Pointer[reading] }

// reading is what the broker's clock showed when this machine's showed local.
type reading struct{ broker, local time.Time }

// clockNoise is how much two clocks may differ before it counts: an answer takes
// a while.
const clockNoise = time.Second

// set takes note of what the broker's clock showed when it answered a question
// that was asked at the given time.
func (c *clock) set(broker, asked time.Time) {
	if !broker.IsZero() {
		c.said.Store(&reading{broker: broker, local: asked.Add(time.Since(asked) / 2)})
	}
}

// Now is the time by the broker's clock; by this machine's as long as the two do
// not differ, or the broker has not been asked.
func (b *Bus) Now() time.Time { return faultpoint.Clock().Add(b.behind()) }

// behind is by how much this machine's clock is behind the broker's.
func (b *Bus) behind() time.Duration {
	said := b.clock.said.Load()
	if said == nil {
		return 0
	}
	now := said.broker.Add(time.Since(said.local))
	if behind := now.Sub(faultpoint.Clock()); behind.Abs() > clockNoise {
		return behind
	}
	return 0
}

// Now is [Bus.Now].
func (c *Chain) Now() time.Time { return c.bus.Now() }
