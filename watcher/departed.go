// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/safely"
)

// departed are the requests that were deleted before they had ended, by name: an
// object of that name that is there now is another request. A request has no
// finalizer of ours, so nobody waits for us; what is forgotten here when the
// process dies is found again by its chain, see [Watcher.findDeparted].
type departed struct {
	mu       sync.Mutex
	requests map[types.NamespacedName][]events.Reference
}

// add takes in a request that is gone.
func (d *departed) add(request events.Reference) (key types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.requests == nil {
		d.requests = map[types.NamespacedName][]events.Reference{}
	}
	key = types.NamespacedName{Namespace: request.Namespace, Name: request.Name}
	if !slices.ContainsFunc(d.requests[key], func(known events.Reference) bool { return known.UID == request.UID }) {
		d.requests[key] = append(d.requests[key], request)
	}
	return key
}

// of lists those of a name.
func (d *departed) of(key types.NamespacedName) []events.Reference {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.requests[key])
}

// done forgets one whose chain has come to its end.
func (d *departed) done(key types.NamespacedName, request events.Reference) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := slices.DeleteFunc(d.requests[key], func(known events.Reference) bool { return known.UID == request.UID })
	if d.requests[key] = left; len(left) == 0 {
		delete(d.requests, key)
	}
}

// noticeDeparted has the chain of every request that is deleted under way
// cancelled.
func (w *Watcher) noticeDeparted() error {
	_, err := w.requests.AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		request, ok := object.(*kubedb.SinglestoreOpsRequest)
		if !ok {
			return
		}
		w.refusals.forget(request.UID)
		if !request.Status.Phase.Terminal() {
			w.loop.AddAfter(w.departed.add(reference(request)), 0)
		}
	}})
	if err != nil {
		return fmt.Errorf("watch requests: %w", err)
	}
	return nil
}

// cancelDeparted cancels the chains of the requests of a name that are gone.
func (w *Watcher) cancelDeparted(ctx context.Context, key types.NamespacedName) error {
	for _, request := range w.departed.of(key) {
		last, err := w.Chain.Last(ctx, events.ChainKey{Kind: kind, Namespace: request.Namespace, UID: request.UID})
		if err == nil {
			_, err = w.end(ctx, last, cancelled)
		}
		if err != nil && !errors.Is(err, bus.ErrNoChain) {
			return err
		}
		w.departed.done(key, request)
	}
	return nil
}

// findDeparted looks, once after every start, for requests that were deleted while
// no watcher ran. The broker can list the chains that have not ended.
func (w *Watcher) findDeparted(ctx context.Context) {
	for delay := time.Second; ; delay = min(2*delay, lastRetry) {
		err := safely.Do(func() error { return w.lookForDeparted(ctx) })
		if err == nil || ctx.Err() != nil {
			return
		}
		zerolog.Ctx(ctx).Warn().Err(err).Dur("again_ms", delay).Msg("cannot look for requests that were deleted meanwhile")
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
	}
}

func (w *Watcher) lookForDeparted(ctx context.Context) error {
	unfinished, err := w.Chain.Unfinished(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, object := range w.requests.GetStore().List() {
		known[string(object.(*kubedb.SinglestoreOpsRequest).UID)] = true
	}
	for _, key := range unfinished {
		if known[key.UID] || key.Kind != kind || w.Namespace != "" && key.Namespace != w.Namespace {
			continue
		}
		last, err := w.Chain.Last(ctx, key)
		switch {
		case errors.Is(err, bus.ErrNoChain):
			continue
		case err != nil:
			return err
		case !last.Fact.Precedes(events.Cancelled), !w.hasDatabase(last.Operation):
			continue
		}
		if err := w.depart(ctx, last.Operation.Request); err != nil {
			return err
		}
	}
	return nil
}

// hasDatabase reports whether the very database of a chain is in this cluster. That a
// request is unknown here does not say that it was deleted: the chain may be that
// of another cluster which uses the broker, too. Where request and database both
// are gone, nothing is paused, and the chain's steps fail by themselves.
func (w *Watcher) hasDatabase(op events.Operation) bool {
	object, exists, err := w.databases.GetStore().GetByKey(op.Database.Namespace + "/" + op.Database.Name)
	return err == nil && exists && string(object.(*kubedb.Singlestore).UID) == op.Database.UID
}

// depart has the request's chain cancelled if the API server knows no such request.
func (w *Watcher) depart(ctx context.Context, ref events.Reference) error {
	request, err := w.read(ctx, ref)
	if err != nil || request != nil {
		return err
	}
	w.loop.AddAfter(w.departed.add(ref), 0)
	return nil
}
