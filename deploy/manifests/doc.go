// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package manifests holds the tests of the manifests in deploy: that they render,
// that a real API server takes them, and that they allow what the services need
// and nothing else.
package manifests
