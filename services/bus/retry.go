// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	watchtools "k8s.io/client-go/tools/watch"
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
	// Kubernetes or the broker is away, or has too much to do; or it says no to what
	// may be possible once something else is there.
	{"unavailable", isUnavailable, retryDelays, false},
	// The step itself is at a loss.
	{"failed", func(error) bool { return true }, retryDelays, true},
}

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

// isUnavailable reports whether it is the API server or the broker that did not do
// what it was asked to.
func isUnavailable(err error) bool {
	var status apierrors.APIStatus
	var broker jetstream.JetStreamError
	var network net.Error
	if errors.As(err, &status) || errors.As(err, &broker) || errors.As(err, &network) {
		return true
	}
	return slices.ContainsFunc([]error{
		io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled, watchtools.ErrWatchClosed,
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting,
	}, func(target error) bool { return errors.Is(err, target) })
}
