// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package base holds the manifests that every installation needs: the namespace,
// and for each service of the relay its identity, its rights and its Deployment.
package base

import "embed"

// FS holds the manifests of the namespace, the identities and the rights,
// rights/*.yaml, and the policies that bind these, policies/*.yaml: what is needed
// wherever the services run. The Deployments are
// not in it: where the services run as processes, none is to run in the cluster.
//
//go:embed rights/*.yaml policies/*.yaml
var FS embed.FS
