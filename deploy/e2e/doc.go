// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests Opsrelay from end to end: real services as processes, each
// with its own identity, on a development cluster with a real API server, real
// controllers, a real resizer and a storage driver that can be made to fail.
//
// Every test has a namespace of its own, watched by the invariant checker. A
// test that stops services, or needs another cluster, starts its own stack.
package e2e
