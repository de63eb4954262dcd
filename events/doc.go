// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package events is the contract of Opsrelay: all that its services share with
// each other and with any program that subscribes. It imports nothing of
// Kubernetes and nothing of the services, so that a subscriber can import it
// alone.
//
// # A request is one chain
//
// Every operation request (a SinglestoreOpsRequest, for one) has one chain of
// facts, told apart by the request's uid:
//
//	requested -> paused -> expanded -> updated -> resumed
//	any of the first four -> failed | cancelled -> resumed
//	rejected                  (never started, nothing touched)
//
// A fact is published on
//
//	opsrelay.v1.<fact>.<kind>.<namespace>.<uid>
//
// with the expectation that the last message of the chain's wildcard
// ([ChainKey.Filter]) is the very event that it answers. So a chain has no forks:
// whatever is delivered twice or handled by two workers, exactly one successor
// is stored. [Fact.Successors] is the table of what may follow; no fact can come
// twice in a chain, but failed or cancelled behind a message that is no event: what
// cannot be read is taken for a failure.
//
// # What a subscriber may rely on
//
//   - A fact is true when it is published: its effect came first.
//   - A fact is delivered at least once and has a deterministic id
//     ([Event.ID]), the same for each delivery, in the header ce-id.
//   - The payload ([Operation]) carries all that a consumer needs, the facts so
//     far included ([Operation.History]).
//
// # Versions
//
// The contract's version is the token v1 of its subjects ([Version]) and of ce-type. Within
// it the contract grows by addition only:
//
//   - Fields, facts and kinds may be added, and optional fields become present
//     where they were absent. A subscriber ignores fields that it does not know,
//     and facts ([Fact.Known]). A service hands them on: fields of the payload,
//     extension attributes in the headers, and values of enumerations. It refuses
//     a value that it would have to guess the meaning of ([Mode.Known]).
//   - No field is removed, renamed, or gets another type, unit or meaning; no fact
//     is published where it was not true by its documentation; a required field
//     stays required; ids stay as they are made.
//   - What cannot be had so comes as v2, under subjects of its own, and v1 is
//     published beside it for one minor release of Opsrelay at least.
//   - The Go API of this package follows semantic versions; before 1.0 a minor
//     release may change it, never what is on the wire.
//
// Golden files in testdata hold the wire to this. [contracttest] tests the
// programs of others: a handler, and what stands in a stream.
//
// Programs in other languages find the same in [AsyncAPI] and [Schemas].
//
// [contracttest]: https://pkg.go.dev/github.com/opsrelay/opsrelay/events/contracttest
package events
