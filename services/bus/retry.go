// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// Retry is how one class of errors is waited out.
type Retry struct {
	// Class is its name in the log.
	Class string
	// Delays are the pauses between the attempts. The last one repeats. None means
	// what the runner does where nothing better is known.
	Delays []time.Duration
	// After is how long whoever refused asks to wait at least.
	After time.Duration

	// counts says that the step itself failed, which spec.maxRetries bounds. What
	// its surroundings do is waited out until the deadline.
	counts bool
}

// Forbidden is a right that is missing and may be granted, or a quota that may be
// raised.
var Forbidden = Retry{Class: "forbidden", Delays: delays(time.Second, 2*time.Second, 5*time.Second, 10*time.Second)}

// failed is a step that is itself at a loss: it panicked, or answered what it must
// not.
var failed = Retry{Class: "failed", counts: true}

// unavailable is all else: whoever the step needs is away, has too much to do, or
// says no to what may be possible once something else is there. There are too many
// ways to say so to list them all, and a request that fails for one would fail in
// vain.
var unavailable = Retry{Class: "unavailable"}

// errDefect is in the errors that are the step's own.
var errDefect = errors.New("a defect of the step")

// retryDelays are the pauses where nothing better is known.
var retryDelays = delays(
	100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond, time.Second,
	2*time.Second, 5*time.Second, 10*time.Second, 30*time.Second)

func delays(list ...time.Duration) []time.Duration { return list }

// minDelay keeps a step from being called in a tight loop.
const minDelay = 10 * time.Millisecond

// retryOf finds how an error is waited out.
func (r *Runner) retryOf(err error) Retry {
	switch {
	case errors.Is(err, errDefect):
		return failed
	case errors.Is(err, nats.ErrPermissionViolation):
		return Forbidden
	case r.cfg.Retry != nil:
		if known, ok := r.cfg.Retry(err); ok {
			return known
		}
	}
	return unavailable
}

// delay is the pause after the given attempt, counted from 1.
func (r Retry) delay(attempt int) time.Duration {
	table := r.Delays
	if len(table) == 0 {
		table = retryDelays
	}
	return max(bent(table, attempt), jitter(r.After))
}

// retryDelay is the pause after the given attempt at something that is no step.
func retryDelay(attempt int) time.Duration { return bent(retryDelays, attempt) }

// bent is the pause of the table after the given attempt, counted from 1.
func bent(table []time.Duration, attempt int) time.Duration {
	return jitter(table[min(max(attempt, 1), len(table))-1])
}

// jitter bends a pause by a fifth either way, so that workers that failed
// together do not come back together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
