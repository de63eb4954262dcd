// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package containers tests Opsrelay as it is shipped: its image, a container for
// each replica of each service - read-only, without capabilities, not root, with
// an identity of its own - beside a NATS server and a development cluster, which
// are containers too. Containers are killed, paused, cut off and restarted.
//
// It needs a Docker engine on this machine, because it speaks to containers at
// their own addresses, and no registry: every image is FROM scratch. Where there
// is no engine every test is skipped, loudly; with CI=true the package fails.
package containers
