// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// dropFinalizer takes off the finalizer that version 1 put on requests, whatever
// their state: nothing of ours may keep a request from going. Whoever refuses that
// is asked again later and later, and nothing else waits for it.
func (w *Watcher) dropFinalizer(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	if !slices.Contains(request.Finalizers, kubedb.RequestFinalizer) || !w.mayWrite(request, finalizersWrite) {
		return nil
	}
	finalizers := slices.DeleteFunc(slices.Clone(request.Finalizers), func(name string) bool { return name == kubedb.RequestFinalizer })
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": request.UID, "resourceVersion": request.ResourceVersion, "finalizers": finalizers,
	}})
	if err != nil {
		return fmt.Errorf("finalizers of request %s/%s: %w", request.Namespace, request.Name, err)
	}
	switch err := w.patch(ctx, request, patch); {
	case err == nil:
		zerolog.Ctx(ctx).Info().Str("request", request.Namespace+"/"+request.Name).Msg("took off the finalizer that version 1 had put on the request")
		w.refusals.over(request, finalizersWrite)
		return nil
	case apierrors.IsNotFound(err):
		return nil
	case isRefused(err):
		w.putOff(ctx, request, finalizersWrite, err)
		return nil
	default:
		return fmt.Errorf("finalizers of request %s/%s: %w", request.Namespace, request.Name, err)
	}
}
