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
// twice in a chain.
//
// # What a subscriber may rely on
//
//   - A fact is true when it is published: its effect came first.
//   - A fact is delivered at least once and has a deterministic id
//     ([Event.ID]), the same for each delivery, in the header ce-id.
//   - The payload ([Operation]) carries all that a consumer needs, the facts so
//     far included ([Operation.History]).
//   - The contract grows by addition only: unknown fields are to be ignored. A
//     breaking change would come under the subject token v2.
//
// Programs in other languages find the same in [AsyncAPI] and [Schemas].
package events
