// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
)

// runControllerManager runs kube-controller-manager until ctx ends. Its
// controllers act as service accounts of their own, as in a real cluster.
func (c *cluster) runControllerManager(ctx context.Context) error {
	o, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("configure kube-controller-manager: %w", err)
	}
	known, disabled, aliases := app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()
	err = parse(o.Flags(known, disabled, aliases), []string{
		"--kubeconfig=" + c.kubeconfigOf(userControllerManager),
		"--secure-port=0",
		"--leader-elect=false",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.pki.serviceAccountKeyFile(),
		"--root-ca-file=" + c.pki.caFile(),
		// Else a volume made after its claim is noticed after 15 s.
		"--pvclaimbinder-sync-period=1s",
	})
	if err != nil {
		return fmt.Errorf("configure kube-controller-manager: %w", err)
	}
	config, err := o.Config(ctx, known, disabled, aliases)
	if err != nil {
		return fmt.Errorf("configure kube-controller-manager: %w", err)
	}
	return ended(ctx, "kube-controller-manager", app.Run(ctx, config.Complete()))
}

// ended turns the end of a component into an error, unless it was told to end.
func ended(ctx context.Context, component string, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%s ended by itself", component)
	}
	return fmt.Errorf("%s ended: %w", component, err)
}
