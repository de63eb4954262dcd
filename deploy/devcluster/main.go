// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Command devcluster runs a real Kubernetes on a bare machine: etcd,
// kube-apiserver, controller-manager, scheduler and simulated nodes in one
// process on loopback, and beside it, as its children, the real csi-resizer and
// a CSI driver whose behaviour can be set at run time.
//
// It is what Opsrelay's tests, its benchmark and its demo run on. It is not
// meant for anything that must be kept.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := newCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		os.Exit(1)
	}
}
