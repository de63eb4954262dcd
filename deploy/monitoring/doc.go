// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package monitoring holds what watches the relay: a dashboard, alerts and what
// has Prometheus scrape the services. Its tests hold them against what the
// services expose; there is no code.
package monitoring
