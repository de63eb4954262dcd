// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// awaitUsable waits until pods can be created and scheduled: every node is
// ready and free of taints, and the default namespace has its service account.
func awaitUsable(ctx context.Context, client kubernetes.Interface, nodes int) error {
	core := client.CoreV1().RESTClient()
	usable := map[string]bool{}
	allNodes := cache.NewListWatchFromClient(core, "nodes", "", fields.Everything())
	err := await(ctx, allNodes, &corev1.Node{}, func(obj runtime.Object) bool {
		if node, ok := obj.(*corev1.Node); ok && usableNode(node) {
			usable[node.Name] = true
		}
		return len(usable) >= nodes
	})
	if err != nil {
		return fmt.Errorf("wait for the simulated nodes, %d of %d are ready: %w", len(usable), nodes, err)
	}
	account := cache.NewListWatchFromClient(core, "serviceaccounts", "default", fields.OneTermEqualSelector("metadata.name", "default"))
	if err := await(ctx, account, &corev1.ServiceAccount{}, func(runtime.Object) bool { return true }); err != nil {
		return fmt.Errorf("wait for the default service account: %w", err)
	}
	return nil
}

func usableNode(node *corev1.Node) bool {
	return len(node.Spec.Taints) == 0 && slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// await watches until an object that is there, or appears, satisfies done.
func await(ctx context.Context, source cache.ListerWatcher, kind runtime.Object, done func(runtime.Object) bool) error {
	_, err := watchtools.UntilWithSync(ctx, source, kind, nil, func(event watch.Event) (bool, error) {
		return event.Type != watch.Deleted && done(event.Object), nil
	})
	return err
}
