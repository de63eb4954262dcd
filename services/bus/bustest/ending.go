// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bustest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// looks is how often a start looks at its context, at most.
const looks = 24

// startTime is how long a start is left alone whose context is looked at less often:
// then it ends at some later moment, which must do no harm either.
const startTime = 50 * time.Millisecond

// errStopped is the cause of the stop: [signal.NotifyContext] gives one, too.
var errStopped = errors.New("interrupt signal received")

// StopsAtAnyMoment runs something that runs until its context ends, again and again,
// with a context that ends when it is looked at for the first time, the second time
// and so on: a stop in the middle of the start is no error.
func StopsAtAnyMoment(t testing.TB, run func(context.Context) error) {
	t.Helper()
	for n := range int32(looks) {
		parent, stop := context.WithCancelCause(Context(t))
		end := func() { stop(errStopped) }
		ctx := &endingContext{Context: parent, end: end}
		ctx.left.Store(n)
		late := time.AfterFunc(startTime, end)
		require.NoError(t, run(ctx), "stopped at look %d", n)
		require.Error(t, parent.Err(), "it ended before it was stopped at look %d", n)
		late.Stop()
		end()
	}
}

// endingContext ends when it has been looked at so many times.
type endingContext struct {
	context.Context

	end  func()
	left atomic.Int32
}

func (c *endingContext) look() {
	if c.left.Add(-1) < 0 {
		c.end()
	}
}

func (c *endingContext) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

func (c *endingContext) Err() error {
	c.look()
	return c.Context.Err()
}
