// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// clusterAgain is the longest pause before the cluster is asked again which one it
// is.
const clusterAgain = 30 * time.Second

// joinCluster returns when it is known in which cluster the service runs, and that
// the broker is that cluster's. Until then the service is not ready, and says why.
func (env environment) joinCluster(ctx context.Context, consumer events.Consumer) error {
	var state atomic.Pointer[error]
	waiting := func(err error) { state.Store(&err) }
	waiting(errors.New("it is not known yet which cluster this is"))
	env.health.Ready("cluster "+consumer.Name, func() error {
		if err := state.Load(); err != nil {
			return *err
		}
		return nil
	})
	cluster, err := untilKnown(ctx, env.clients.Core, waiting)
	if err != nil {
		return err
	}
	if err := env.bus.JoinCluster(ctx, cluster, consumer, waiting); err != nil {
		return err
	}
	state.Store(nil)
	return nil
}

// untilKnown returns which cluster it is as soon as it can be read.
func untilKnown(ctx context.Context, core kubernetes.Interface, waiting func(error)) (string, error) {
	for pause := time.Second; ; pause = min(2*pause, clusterAgain) {
		cluster, err := runtime.ClusterUID(ctx, core)
		if err == nil {
			return cluster, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		waiting(err)
		zerolog.Ctx(ctx).Warn().Err(err).Dur("again_ms", pause).Msg("waiting until it is known which cluster this is")
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", context.Cause(ctx)
		}
	}
}

// theirCluster is the cluster to which streams that are provisioned are recorded to
// belong: the one that is named, else the one that the flags lead to, else the one
// in which this process is a pod that has a token. It is empty where there is none of
// these: the current context of whoever provisions from a desk may lead anywhere.
func theirCluster(ctx context.Context, named string, kube runtime.Kubernetes) (string, error) {
	_, desk := rest.InClusterConfig()
	if named != "" || kube.Kubeconfig == "" && kube.Context == "" && desk != nil {
		return named, nil
	}
	config, err := kube.Config("provision")
	if err != nil {
		return "", err
	}
	clients, err := runtime.NewClients(config)
	if err != nil {
		return "", err
	}
	cluster, err := runtime.ClusterUID(ctx, clients.Core)
	if err != nil {
		return "", fmt.Errorf("%w; or name it with --cluster-uid", err)
	}
	return cluster, nil
}
