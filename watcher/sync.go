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
	if err := errors.Join(w.cancelDeparted(ctx, key), w.takeBack(ctx, key)); err != nil {
		return err
	}
	object, exists, err := w.written.GetByKey(key.String())
	if err != nil || !exists {
		w.waits.forget(key)
		w.growing.forget(key)
		return err
	}
	request := object.(*kubedb.SinglestoreOpsRequest)
	return errors.Join(w.advance(ctx, request), w.dropFinalizer(ctx, request))
}

// advance does what is to be done next for a request that is there.
func (w *Watcher) advance(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	switch {
	case request.Status.Phase.Terminal():
		key := types.NamespacedName{Namespace: request.Namespace, Name: request.Name}
		w.waits.forget(key)
		w.growing.forget(key)
		w.leave(ctx, request)
		return nil
	case w.leave(ctx, request):
		return nil
	case request.DeletionTimestamp != nil: // somebody else's finalizer keeps it
		return w.cancel(ctx, request, cancelled)
	case w.terminating(request.Namespace):
		return w.cancel(ctx, request, cancelledFor(namespaceGoes(request.Namespace)))
	case plan.Pending(request):
		return w.admit(ctx, request)
	case request.Status.Phase == kubedb.OpsProgressing:
		if waits, err := w.sayBroker(ctx, request); waits || err != nil {
			return err // nothing else can be done until it stores again, of which we hear
		}
		if over, err := w.endWithDatabase(ctx, request); over || err != nil {
			return err
		}
		return errors.Join(w.sayWhoPauses(ctx, request), w.sayProgress(ctx, request), w.sayGrowing(ctx, request), w.redrive(ctx, request))
	default:
		return nil // it waits for somebody's approval
	}
}
