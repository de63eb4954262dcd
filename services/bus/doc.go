// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package bus carries the relay over NATS JetStream. It is all that the services
// know of the broker: a connection, the chains of facts, and a runner that turns
// one durable consumer into calls of one step.
//
// # What it guarantees
//
//   - A chain has no forks. A successor is stored only behind the very event
//     that it answers, whatever is delivered twice or handled by two workers.
//   - Effect, then successor, then acknowledgement: nothing is acknowledged
//     before what follows from it is stored, so nothing is lost with a worker.
//   - A worker takes a message only when it has a place for it, and says that it
//     lives as long as it works on it. The work of one that died is given to
//     another after [events.AckWait], that of one that is shut down at once.
//   - A step that fails is tried again in its worker until its deadline, then the
//     chain goes on with failed. Waiting is no failing. A panic in any of its
//     goroutines is a failure of the step.
//   - Failed is stored before the step lets go of what it holds, and the event is
//     acknowledged after: see [Releaser].
//   - What comes again or late is compared with the end of its chain before
//     anything is written.
//   - A chain that ends with what is no event has failed.
//
// # What a step must bring
//
// A step may be called any number of times for one event, by several workers at
// once: its effect must be idempotent. It starts its goroutines in a safely.Group.
package bus
