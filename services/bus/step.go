// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsrelay/opsrelay/events"
)

// Step is what a service does: it answers one event. It returns the successor,
// which the runner publishes; the zero Event means that nothing follows. The
// context ends at the operation's deadline, with cause [ErrChainEnded] when the
// chain ended elsewhere, and with cause [ErrShutdown] when the process ends.
//
// A step that writes calls confirm before it does: the event may have waited while
// its chain ended.
//
// An error is a verdict: [Permanent], [NotYet], or anything else, which is tried
// again until the deadline.
type Step interface {
	Handle(ctx context.Context, event events.Event, confirm Confirm) (events.Event, error)
}

// StepFunc is a function that is a [Step].
type StepFunc func(ctx context.Context, event events.Event, confirm Confirm) (events.Event, error)

// Handle implements [Step].
func (f StepFunc) Handle(ctx context.Context, event events.Event, confirm Confirm) (events.Event, error) {
	return f(ctx, event, confirm)
}

// Confirm returns a [LostRace] if the event that the step answers is not the last
// of its chain any more: it was cancelled before its turn came, or the process was
// frozen since the step began, while another one did its work and the rest. A step
// calls it before its first write. One whose write would do harm after the end of
// the chain reads the object, confirms, and writes only if nobody changed the
// object since: whoever came in between changed the chain or the object. The step
// returns the error as it is.
type Confirm func(ctx context.Context) error

// Releaser is implemented by a [Step] that may hold something for an event: a
// pause, a pod that is kept down, an object that is deleted and not yet recreated.
//
// Release is called when the event's chain ended without the step's answer: after
// failed is stored for the event, whoever published it, after it was cancelled, and
// for an event that comes when its chain has ended or is gone. It is not called for
// an event whose chain is at work behind it, however often and late it comes.
//
// It returns nil when nothing is held any more, and not before: it waits, or it
// returns an error and is called again. The event is acknowledged only then, so that
// a worker that still holds something has a message in progress, and whatever scales
// workers by that does not take it away. It must be idempotent: it is called for
// events, too, that the step had never seen, and again by another worker if this
// one dies.
//
// last is the end of the chain; the zero Event if it has nothing any more. The
// context ends at shutdown only.
type Releaser interface {
	Release(ctx context.Context, event, last events.Event) error
}

// The causes of a step's context that ended before its deadline.
var (
	// ErrShutdown: the process ends. The event is given to another worker.
	ErrShutdown = errors.New("shutting down")
	// ErrChainEnded: the chain went on without this step. What the step did is
	// not published.
	ErrChainEnded = errors.New("the chain ended elsewhere")
)

// RunnerConfig is what a runner works with.
type RunnerConfig struct {
	// Consumer is what it listens to. It must be provisioned.
	Consumer events.Consumer
	// Step is what it does. [events.TimeoutConsumer] and
	// [events.DeadLetterConsumer] need none: their runners fail the requests
	// whose steps nobody does.
	Step Step
	// Source is the name of the service: the source of what it publishes.
	Source string
	// Concurrency is how many events it works on at once. If not set, 1024:
	// most of them wait.
	Concurrency int
	// Retry tells how an error is waited out that the runner cannot know, an API
	// server's for one. It may be nil.
	Retry func(error) (Retry, bool)
	// Observer is for a step that only looks: it handles the facts of chains
	// that have gone on as well, has no deadline, and never fails a request.
	Observer bool
	// Registerer gets the runner's metrics. It may be nil.
	Registerer prometheus.Registerer
}
