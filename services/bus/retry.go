// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"math/rand/v2"
	"time"
)

// retryDelays are the pauses between the attempts of a step. The last one
// repeats.
var retryDelays = [...]time.Duration{
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// minDelay keeps a step from being called in a tight loop.
const minDelay = 10 * time.Millisecond

// retryDelay is the pause after the given attempt, counted from 1, bent by a
// fifth either way so that workers that failed together do not come back
// together.
func retryDelay(attempt int) time.Duration {
	delay := retryDelays[min(max(attempt, 1), len(retryDelays))-1]
	return time.Duration(float64(delay) * (0.8 + 0.4*rand.Float64()))
}
