// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	schedoptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// runScheduler runs kube-scheduler until ctx ends.
func (c *cluster) runScheduler(ctx context.Context) error {
	o := schedoptions.NewOptions()
	err := parse(*o.Flags, []string{
		"--kubeconfig=" + c.kubeconfigOf(userScheduler),
		"--secure-port=0",
		"--leader-elect=false",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	})
	if err != nil {
		return fmt.Errorf("configure kube-scheduler: %w", err)
	}
	config, scheduler, err := app.Setup(ctx, o)
	if err != nil {
		return ended(ctx, "kube-scheduler", err)
	}
	return ended(ctx, "kube-scheduler", app.Run(ctx, config, scheduler))
}
