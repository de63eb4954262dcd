// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import "slices"

// Fact is what happened to an operation request, in the past tense. It is the
// third token of an event's subject.
type Fact string

// The facts of a chain.
const (
	// Requested: the request was admitted; from here on somebody works on it.
	Requested Fact = "requested"
	// Paused: the database object is paused, and the pause is this request's.
	Paused Fact = "paused"
	// Expanded: every live volume has at least the requested capacity; or, in a
	// request that recovers from a size that the storage cannot give, the one that
	// [Component.Size] tells, and [Operation.Failure] says why.
	Expanded Fact = "expanded"
	// Updated: the workloads' claim templates and the database object carry these
	// sizes.
	Updated Fact = "updated"
	// Resumed ends a chain: the database is not paused by this request, and
	// [Operation.Outcome] says how it went.
	Resumed Fact = "resumed"
	// Rejected ends a chain at its start: the request cannot work, and nothing
	// was touched. [Operation.Failure] says why.
	Rejected Fact = "rejected"
	// Failed: a step gave up; [Operation.Failure] names it. The database is
	// resumed next.
	Failed Fact = "failed"
	// Cancelled: the request was deleted while under way, or its namespace is being
	// deleted. The database is resumed next.
	Cancelled Fact = "cancelled"
)

// Facts lists every fact, in the order in which a chain may meet them.
func Facts() []Fact {
	return []Fact{Requested, Paused, Expanded, Updated, Resumed, Rejected, Failed, Cancelled}
}

// successors is the one table of what may follow a fact. The empty fact is the
// beginning of a chain.
var successors = map[Fact][]Fact{
	"":        {Requested, Rejected},
	Requested: {Paused, Failed, Cancelled},
	Paused:    {Expanded, Failed, Cancelled},
	Expanded:  {Updated, Failed, Cancelled},
	Updated:   {Resumed, Failed, Cancelled},
	Failed:    {Resumed},
	Cancelled: {Resumed},
	Resumed:   {},
	Rejected:  {},
}

// Successors returns the facts that may follow f, those of a chain's beginning
// for the empty fact and none for a fact that ends a chain. The slice is the
// caller's.
func (f Fact) Successors() []Fact { return slices.Clone(successors[f]) }

// Precedes reports whether next may directly follow f.
func (f Fact) Precedes(next Fact) bool { return slices.Contains(successors[f], next) }

// Known reports whether f is a fact of this version of the contract. A
// subscriber ignores the others, which a newer version may have added.
func (f Fact) Known() bool { _, ok := successors[f]; return ok && f != "" }

// Ends reports whether f ends a chain.
func (f Fact) Ends() bool { return f.Known() && len(successors[f]) == 0 }

// Step is the name of the step that answers f: what a failure is blamed on. It
// is empty for a fact that ends a chain.
func (f Fact) Step() string {
	switch f {
	case Requested:
		return "pause"
	case Paused:
		return "expand"
	case Expanded:
		return "update"
	case Updated, Failed, Cancelled:
		return "resume"
	default:
		return ""
	}
}
