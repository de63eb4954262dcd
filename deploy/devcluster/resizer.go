// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// resizerPath is where the real csi-resizer is looked for: beside this binary.
// It has to be a process of its own, because its feature gates and those of the
// control plane cannot be in one.
func resizerPath() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return filepath.Join(filepath.Dir(self), "csi-resizer"), nil
}

func findResizer() error {
	path, err := resizerPath()
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("find the csi-resizer beside this program (deploy/devcluster/build.sh builds both): %w", err)
	}
	return nil
}

func (c *cluster) resizerProcess() child {
	path, _ := resizerPath() // was found at the start
	return child{
		name: "csi-resizer",
		path: path,
		log:  c.log,
		args: []string{
			"--csi-address=" + c.driverSocket(),
			"--kubeconfig=" + c.kubeconfigOf(userResizer),
			"--kube-api-qps=" + strconv.FormatFloat(c.resizer.qps, 'f', -1, 64),
			"--kube-api-burst=" + strconv.Itoa(c.resizer.burst),
			"--workers=" + strconv.Itoa(c.resizer.workers),
		},
	}
}
