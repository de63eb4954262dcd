// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// progressRest is how long a volume must have waited before the status says so:
// most waits are over by then.
const progressRest = time.Second

// waits holds the newest word of volumes that wait, or did when their status was
// last written, by request and claim.
type waits struct {
	mu     sync.Mutex
	newest map[types.NamespacedName]map[string]heard
}

// heard is a progress and when it was heard.
type heard struct {
	events.Progress
	at time.Time
}

// Progress hears how far a volume of a request has come: see growing. What it waits for that
// somebody may have to do something about is said in the request's status a moment
// later, if it still waits then.
func (w *Watcher) Progress(p events.Progress) {
	key := types.NamespacedName{Namespace: p.Request.Namespace, Name: p.Request.Name}
	if rest := max(growingRest, 2*w.rest()); w.growing.hear(p, time.Now(), rest) {
		w.loop.AddAfter(key, rest)
	}
	w.waits.mu.Lock()
	defer w.waits.mu.Unlock()
	claims := w.waits.newest[key]
	if _, waited := claims[p.Claim]; !p.Waits() && !waited && !w.saidToWait(p.Request) {
		return
	}
	if claims == nil {
		claims = map[string]heard{}
		w.waits.newest[key] = claims
	}
	claims[p.Claim] = heard{p, time.Now()}
	w.loop.AddAfter(key, progressRest)
}

// sayProgress says in the status what a volume waits for, until none waits. What was
// heard a moment ago rests: the request is looked at again.
func (w *Watcher) sayProgress(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	waiting, over := w.waits.of(request, time.Now().Add(-progressRest))
	switch {
	case waiting != nil:
		return w.wait(ctx, request, request.Status.Phase, waiting.State, waiting.Message)
	case !over:
		return nil
	case waitsForVolume(request.Status.Conditions):
		status := request.Status
		status.Conditions = kubedb.RemoveCondition(status.Conditions, conditionWaiting)
		if err := w.writeStatus(ctx, request, status); err != nil {
			return err
		}
	}
	w.waits.end(types.NamespacedName{Namespace: request.Namespace, Name: request.Name})
	return nil
}

// of returns what the request has waited for since then or longer, the first claim's
// of several; over says that volumes waited, and none does any more.
func (ws *waits) of(request *kubedb.SinglestoreOpsRequest, since time.Time) (waiting *events.Progress, over bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	claims := ws.newest[types.NamespacedName{Namespace: request.Namespace, Name: request.Name}]
	over = len(claims) > 0
	for _, claim := range slices.Sorted(maps.Keys(claims)) {
		h := claims[claim]
		if !h.Waits() || h.Request.UID != string(request.UID) {
			continue
		}
		over = false
		if !h.at.After(since) {
			return &h.Progress, false
		}
	}
	return nil, over
}

// end drops what does not wait any more. A wait may have begun meanwhile.
func (ws *waits) end(request types.NamespacedName) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	claims := ws.newest[request]
	maps.DeleteFunc(claims, func(_ string, h heard) bool { return !h.Waits() })
	if len(claims) == 0 {
		delete(ws.newest, request)
	}
}

// forget drops all: the request has ended.
func (ws *waits) forget(request types.NamespacedName) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.newest, request)
}

// saidToWait reports whether the request's status says so, as it was last seen.
func (w *Watcher) saidToWait(ref events.Reference) bool {
	object, exists, err := w.requests.GetStore().GetByKey(ref.Namespace + "/" + ref.Name)
	return err == nil && exists && waitsForVolume(object.(*kubedb.SinglestoreOpsRequest).Status.Conditions)
}

// waitsForVolume reports whether the conditions say that a volume waits, which
// is nothing that an earlier fact takes back.
func waitsForVolume(conditions []kubedb.Condition) bool {
	waiting := kubedb.FindCondition(conditions, conditionWaiting)
	return waiting != nil && slices.Contains(events.WaitingStates(), waiting.Reason)
}
