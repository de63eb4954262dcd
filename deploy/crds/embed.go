// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package crds holds the custom resource definitions of the kinds the relay works with, for clusters that do not have
// KubeDB's own. They accept every object that KubeDB's accept, apart from requests that KubeDB's webhook refuses without
// looking anything up; those rules are written here as CEL.
//
// Install them only where KubeDB is not installed: there, its own definitions are the ones to have.
package crds

import "embed"

// FS holds one YAML file per definition and nothing else, so that a program can install them all.
//
//go:embed apps.k8s.appscode.com_petsets.yaml kubedb.com_singlestores.yaml ops.kubedb.com_singlestoreopsrequests.yaml
var FS embed.FS
