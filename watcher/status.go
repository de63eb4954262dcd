// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/safely"
)

// Handle folds a fact into the status of its request and tells it as a
// Kubernetes event. Nothing follows it. Between its first fact and its last, the
// status of a request rests until there is more to write. Confirm is not called:
// a fact that was followed has happened all the same.
func (w *Watcher) Handle(ctx context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
	if w.Chain.Now().Sub(e.Time) > eventTTL {
		return events.Event{}, w.recall(ctx, e)
	}
	request, err := w.find(ctx, e.Operation.Request)
	if err != nil {
		return events.Event{}, err
	}
	if request == nil {
		return events.Event{}, w.withoutRequest(ctx, e)
	}
	if w.leave(ctx, request) {
		return events.Event{}, nil
	}
	if growthIsOver(e.Fact) {
		w.growing.end(e.Operation.Request)
	}
	// What ends a request is what people wait for: written first, then told.
	if e.Fact.Ends() {
		if err := w.write(ctx, e); err != nil {
			return events.Event{}, err
		}
		return events.Event{}, w.tell(ctx, request, e)
	}
	telling, ctx := safely.NewGroup(ctx)
	telling.Go(func() error { return w.tell(ctx, request, e) })
	err = w.write(ctx, e)
	return events.Event{}, errors.Join(telling.Wait(), err)
}

// eventTTL is how long Kubernetes keeps events unless it is told otherwise
// (kube-apiserver --event-ttl).
const eventTTL = time.Hour

// recall handles a fact that is old news: the watcher was away for long, or its
// consumer was recreated and tells all that the broker keeps. It asks the API server
// nothing: what is not in the cache is gone, a status that has said the fact is
// left as it is, and an event would have expired.
func (w *Watcher) recall(ctx context.Context, e events.Event) error {
	request := w.seen(e.Operation.Request)
	if request == nil || request.Status.Phase.Terminal() {
		return nil
	}
	return w.write(ctx, e)
}

// write folds the fact into the status when it is time to, unless a newer one
// does.
func (w *Watcher) write(ctx context.Context, e events.Event) error {
	write, err := w.notes.wait(ctx, e, w.rest())
	if !write || err != nil {
		return err
	}
	request, err := w.find(ctx, e.Operation.Request)
	for request != nil && err == nil {
		conflict := w.writeStatus(ctx, request, Fold(request.Status, e))
		if !apierrors.IsConflict(conflict) {
			return conflict
		}
		before := request.ResourceVersion
		request, err = w.read(ctx, e.Operation.Request)
		if request != nil && request.ResourceVersion == before {
			w.putOff(ctx, request, statusWrite, conflict) // nobody changed it: the conflict is about something else
			return nil
		}
	}
	return err
}

// withoutRequest handles a fact whose request is gone. Was it deleted while no
// watcher ran, or just before another replica began its chain, then nobody has
// cancelled it yet.
func (w *Watcher) withoutRequest(ctx context.Context, e events.Event) error {
	if !e.Fact.Precedes(events.Cancelled) || !w.hasDatabase(e.Operation) {
		return nil
	}
	last, err := w.Chain.Last(ctx, e.ChainKey())
	if errors.Is(err, bus.ErrNoChain) {
		return nil
	}
	if err == nil {
		_, err = w.end(ctx, last, cancelled)
	}
	return err
}

// find returns the request from the cache, or from the API server if the cache
// lags behind; nil if there is none.
func (w *Watcher) find(ctx context.Context, ref events.Reference) (*kubedb.SinglestoreOpsRequest, error) {
	if request := w.seen(ref); request != nil {
		return request, nil
	}
	return w.read(ctx, ref)
}

// seen returns the request from the cache; nil if it has none.
func (w *Watcher) seen(ref events.Reference) *kubedb.SinglestoreOpsRequest {
	object, exists, err := w.written.GetByKey(ref.Namespace + "/" + ref.Name)
	if err != nil || !exists {
		return nil
	}
	if request := object.(*kubedb.SinglestoreOpsRequest); string(request.UID) == ref.UID {
		return request
	}
	return nil
}

// read returns the request from the API server; nil if there is none.
func (w *Watcher) read(ctx context.Context, ref events.Reference) (*kubedb.SinglestoreOpsRequest, error) {
	request, err := w.Client.SinglestoreOpsRequests(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if notThere(err) || err == nil && string(request.UID) != ref.UID {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read request %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	return request, nil
}

// writeStatus replaces the status if it is another and nobody wrote in between.
// A conflict comes back as it is; a request that is gone has no status. What the
// API server refuses is put off, see [refusals]. The status of another installation's
// request is not ours to write.
func (w *Watcher) writeStatus(ctx context.Context, request *kubedb.SinglestoreOpsRequest, status kubedb.OpsRequestStatus) error {
	if equality.Semantic.DeepEqual(request.Status, status) || w.leave(ctx, request) || !w.mayWrite(request, statusWrite) {
		return nil
	}
	patch, err := kubedb.StatusPatch(request, map[string]any{
		"phase": status.Phase, "observedGeneration": status.ObservedGeneration, "conditions": status.Conditions,
	})
	if err != nil {
		return err
	}
	switch err := w.patch(ctx, request, patch, "status"); {
	case err == nil:
		w.refusals.over(request, statusWrite)
		return nil
	case apierrors.IsConflict(err):
		return err
	case apierrors.IsNotFound(err):
		return nil
	case isRefused(err):
		w.putOff(ctx, request, statusWrite, err)
		return nil
	default:
		return fmt.Errorf("write the status of request %s/%s: %w", request.Namespace, request.Name, err)
	}
}

// patch changes the request, or a subresource of it, and remembers what it has
// become.
func (w *Watcher) patch(ctx context.Context, request *kubedb.SinglestoreOpsRequest, patch []byte, subresources ...string) error {
	client := w.Client.SinglestoreOpsRequests(request.Namespace)
	written, err := client.Patch(ctx, request.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: kubedb.WatcherManager(w.Installation)}, subresources...)
	if err != nil {
		return err
	}
	kubedb.KeepInstallation(written)
	w.written.Mutation(written)
	return nil
}
