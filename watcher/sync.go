// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// sync brings one request where it belongs, whatever happened before.
func (w *Watcher) sync(ctx context.Context, key types.NamespacedName) error {
	if err := w.takeBack(ctx, key); err != nil {
		return err
	}
	object, exists, err := w.written.GetByKey(key.String())
	if err != nil || !exists {
		w.waits.forget(key)
		w.growing.forget(key)
		return err
	}
	request := object.(*kubedb.SinglestoreOpsRequest)
	switch {
	case request.DeletionTimestamp != nil:
		return w.cancel(ctx, request)
	case request.Status.Phase.Terminal():
		w.waits.forget(key)
		w.growing.forget(key)
		return w.letGo(ctx, request)
	case plan.Pending(request):
		return w.admit(ctx, request)
	case request.Status.Phase == kubedb.OpsProgressing:
		return errors.Join(w.sayWhoPauses(ctx, request), w.sayProgress(ctx, request), w.sayGrowing(ctx, request), w.redrive(ctx, request))
	default:
		return nil // it waits for somebody's approval
	}
}
