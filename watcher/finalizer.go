// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Finalizer is on a request as long as it may hold its database paused: a
// request that is deleted is not gone before its database is resumed.
const Finalizer = "opsrelay.dev/relay"

// hold puts our finalizer on the request.
func (w *Watcher) hold(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	if slices.Contains(request.Finalizers, Finalizer) {
		return nil
	}
	return w.setFinalizers(ctx, request, append(slices.Clone(request.Finalizers), Finalizer))
}

// letGo takes our finalizer off the request.
func (w *Watcher) letGo(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	if !slices.Contains(request.Finalizers, Finalizer) {
		return nil
	}
	return w.setFinalizers(ctx, request, slices.DeleteFunc(slices.Clone(request.Finalizers), func(name string) bool { return name == Finalizer }))
}

func (w *Watcher) setFinalizers(ctx context.Context, request *kubedb.SinglestoreOpsRequest, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": request.UID, "resourceVersion": request.ResourceVersion, "finalizers": finalizers,
	}})
	if err != nil {
		return fmt.Errorf("finalizers of request %s/%s: %w", request.Namespace, request.Name, err)
	}
	switch err := w.patch(ctx, request, patch); {
	case err == nil, apierrors.IsNotFound(err):
		return nil
	default:
		return fmt.Errorf("finalizers of request %s/%s: %w", request.Namespace, request.Name, err)
	}
}
