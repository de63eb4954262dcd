// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// retry is what becomes of one class of errors.
type retry struct {
	// class is its name in the log.
	class string
	// is tells whether an error belongs to it.
	is func(error) bool
	// delays are the pauses between the attempts. The last one repeats.
	delays []time.Duration
	// counts says that the step itself failed, which spec.maxRetries bounds. What
	// its surroundings do is waited out until the deadline.
	counts bool
}

// retries is the whole policy: the first class that an error belongs to.
var retries = []retry{
	// Somebody else wrote in between: what is there now is read at once.
	{"conflict", apierrors.IsConflict, delays(10*time.Millisecond, 50*time.Millisecond, 250*time.Millisecond, time.Second), false},
	// A right that is missing may be granted; a quota may be raised.
	{"forbidden", isForbidden, delays(time.Second, 2*time.Second, 5*time.Second, 10*time.Second), false},
	// The step itself is at a loss: it panicked, or answered what it must not.
	{"failed", func(err error) bool { return errors.Is(err, errDefect) }, retryDelays, true},
	// Kubernetes or the broker is away, has too much to do, or says no to what may be
	// possible once something else is there. There are too many ways to say so to
	// list them all, and a request that fails for one would fail in vain.
	{"unavailable", func(error) bool { return true }, retryDelays, false},
}

// errDefect is in the errors that are the step's own.
var errDefect = errors.New("a defect of the step")

// retryDelays are the pauses where nothing better is known.
var retryDelays = delays(
	100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond, time.Second,
	2*time.Second, 5*time.Second, 10*time.Second, 30*time.Second)

func delays(list ...time.Duration) []time.Duration { return list }

// minDelay keeps a step from being called in a tight loop.
const minDelay = 10 * time.Millisecond

// retryOf finds what becomes of an error.
func retryOf(err error) retry {
	return retries[slices.IndexFunc(retries, func(r retry) bool { return r.is(err) })]
}

// delay is the pause after the given attempt, or as long as the server asks for.
func (r retry) delay(attempt int, err error) time.Duration {
	d := bent(r.delays, attempt)
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		d = max(d, jitter(time.Duration(seconds)*time.Second))
	}
	return d
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

func isForbidden(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || errors.Is(err, nats.ErrPermissionViolation)
}
