// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// Event is one fact of one chain.
type Event struct {
	// Fact is what happened.
	Fact Fact
	// Kind is the database's kind in lower case, "singlestore" for one: the
	// fourth token of the subject.
	Kind string
	// Source is the service that published the event: watcher, pauser,
	// expander, updater.
	Source string
	// Time is when its publisher said it.
	Time time.Time
	// Operation is the payload.
	Operation Operation
	// Cluster is the Kubernetes cluster that the event is about: the uid of its
	// namespace kube-system. It is empty in events of publishers that do not know
	// it.
	Cluster string
	// Trace says where the event was made, for distributed tracing; it decides
	// nothing.
	Trace Trace
	// Sequence is the event's place in the stream; 0 until it is stored.
	Sequence uint64

	// unknown and extensions are what a later version has said in the payload and
	// in the headers. They are handed on.
	unknown    *unknown
	extensions nats.Header
}

// Trace is where an event was made, as W3C Trace Context writes it. It is empty
// where nobody traces.
type Trace struct {
	// Parent is the span that published the event, Origin the one that published
	// the first event of its chain.
	Parent, Origin string
}

// ID identifies the event. It is deterministic: the same fact of the same chain
// has the same id, whoever publishes it and however often.
func (e Event) ID() string { return e.Operation.Request.UID + "." + string(e.Fact) }

// First returns the fact that begins a chain: [Requested] or [Rejected]. It
// panics for any other, as [Event.Next] does.
func First(fact Fact, kind string, op Operation) Event {
	op.History = nil
	return Event{Kind: kind, Operation: op}.Next(fact)
}

// Next returns the successor of e: the given fact with e's state, to be changed
// by the caller before it is returned from a step. The facts that end a chain
// get their outcome, the others their deadline. It panics when the table does not
// allow the successor, which is a defect of the caller.
func (e Event) Next(fact Fact) Event {
	if !e.Fact.Precedes(fact) {
		panic(fmt.Sprintf("events: %q must not follow %q", fact, e.Fact))
	}
	return e.follow(fact)
}

// Failed returns the successor of e that says why its request failed. What failed
// before is told, too.
func (e Event) Failed(f Failure) Event {
	next := e.Next(Failed)
	if before := e.Operation.Failure; before != nil {
		f.Message += "; before that: " + before.Error()
	}
	f.Message = Shorten(f.Message, maxMessage)
	next.Operation.Failure = &f
	return next
}

// follow takes e's state into a new fact. Slices are copied where the new event
// may write to them, so that events can be handed between goroutines.
func (e Event) follow(fact Fact) Event {
	now := time.Now().UTC()
	op := e.Operation
	op.History = append(slices.Clip(op.History), Passed{Fact: fact, Time: now})
	op.Components = slices.Clone(op.Components)
	for i := range op.Components {
		op.Components[i].Volumes = slices.Clone(op.Components[i].Volumes)
	}
	if op.Failure != nil {
		failure := *op.Failure
		failure.Message = Shorten(failure.Message, maxMessage)
		op.Failure = &failure
	}
	op.Deadline, op.Outcome = now.Add(op.StepTimeout.Duration()), ""
	if fact.Ends() {
		op.Deadline, op.Outcome = time.Time{}, op.outcome(e.Fact, fact)
	}
	return Event{
		Fact: fact, Kind: e.Kind, Time: now, Operation: op, Cluster: e.Cluster, Trace: e.Trace, unknown: e.unknown, extensions: e.extensions,
	}
}

// At returns e with its time, by the clock that all publishers share, and with its
// deadline moved along. What came before e keeps its time.
func (e Event) At(t time.Time) Event {
	t = t.UTC()
	if !e.Operation.Deadline.IsZero() {
		e.Operation.Deadline = e.Operation.Deadline.Add(t.Sub(e.Time))
	}
	e.Time = t
	e.Operation.History = slices.Clone(e.Operation.History)
	if last := len(e.Operation.History) - 1; last >= 0 {
		e.Operation.History[last].Time = e.Time
	}
	return e
}

// outcome is how a chain ends whose last two facts are given.
func (o Operation) outcome(previous, last Fact) Outcome {
	switch {
	case previous == Cancelled:
		return OutcomeCancelled
	case last == Rejected, o.Failure != nil:
		return OutcomeFailed
	default:
		return OutcomeSuccessful
	}
}

// Attempts is how often the step was begun that ended with e; 0 where its
// publisher does not say.
func (e Event) Attempts() int {
	if len(e.Operation.History) == 0 {
		return 0
	}
	return e.Operation.History[len(e.Operation.History)-1].Attempts
}

// WithAttempts returns e with the number that [Event.Attempts] tells.
func (e Event) WithAttempts(n int) Event {
	e.Operation.History = slices.Clone(e.Operation.History)
	if last := len(e.Operation.History) - 1; last >= 0 {
		e.Operation.History[last].Attempts = n
	}
	return e
}
