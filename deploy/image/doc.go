// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package image assembles what container images are built from: small archives
// of static binaries, which need no base image and so no registry.
//
// The same commit gives the same archive, byte for byte: files are in order,
// belong to root, and have the commit's time.
package image
