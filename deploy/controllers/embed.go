// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package controllers holds the manifests of the stand-ins for KubeDB's own
// controllers. Install them only where KubeDB is not installed, after those of
// deploy/base.
package controllers

import "embed"

// FS holds the manifests, *.yaml.
//
//go:embed *.yaml
var FS embed.FS
