// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package containers tests Opsrelay as it is shipped: its image, a container for
// each replica of each service - read-only, without capabilities, not root - beside
// one NATS server or three, and a development cluster, which are containers too.
//
// Each service has the rights of its own service account and of its own NATS user:
// keys, certificates and the servers' rights are those that `opsrelay nats-auth`
// makes, the servers' configurations those of deploy/overlays. Nobody talks to
// NATS without a key and a certificate, this test included.
//
// Containers are killed, paused, cut off and restarted in the middle of
// expansions; deploy/invariant is checked after each.
//
// It needs a Docker engine on this machine, because it speaks to containers at
// their own addresses, and no registry: every image is FROM scratch. Where there
// is no engine every test is skipped, loudly; with CI=true, as in .ci/run, the
// package fails.
package containers
