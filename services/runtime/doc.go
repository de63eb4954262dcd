// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package runtime is what a process of Opsrelay is made of, whatever its
// service: configuration from flags and environment, logging, metrics, probes,
// the connection to Kubernetes, and an orderly end.
package runtime
