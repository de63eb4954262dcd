// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// conditionGrowing says how far the volumes are, in a request that takes its time:
// a line for each component, however many volumes it has.
const conditionGrowing = "VolumesGrowing"

// growingRest is how long the progress of volumes rests at least before it is
// written. A request that is done by then is written no oftener for it.
const growingRest = 5 * time.Second

// growing is what was heard of the volumes of the requests under way.
type growing struct {
	mu       sync.Mutex
	requests map[types.NamespacedName]*heardProgress
}

// heardProgress is the newest progress of each component of one request.
type heardProgress struct {
	uid    string
	newest map[string]events.Progress
	due    time.Time // when it is to be written; zero if it was
}

// hear takes in a progress, which may rest for as long. It reports whether the
// request is to be looked at after that.
func (g *growing) hear(p events.Progress, now time.Time, rest time.Duration) (look bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := types.NamespacedName{Namespace: p.Request.Namespace, Name: p.Request.Name}
	h := g.requests[key]
	if h == nil || h.uid != p.Request.UID {
		h = &heardProgress{uid: p.Request.UID, newest: map[string]events.Progress{}}
		if g.requests == nil {
			g.requests = map[types.NamespacedName]*heardProgress{}
		}
		g.requests[key] = h
	}
	h.newest[p.Component] = p
	if look = h.due.IsZero(); look {
		h.due = now.Add(rest)
	}
	return look
}

// take returns what is to be written of the request now, if it is time; again says
// when else to ask.
func (g *growing) take(key types.NamespacedName, uid types.UID, now time.Time) (message string, again time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.requests[key]
	switch {
	case h == nil || h.uid != string(uid) || h.due.IsZero():
		return "", 0
	case now.Before(h.due):
		return "", h.due.Sub(now)
	}
	h.due = time.Time{}
	return h.String(), 0
}

// end drops what was heard of a very request: its volumes grow no longer, though
// its status may not say so yet.
func (g *growing) end(request events.Reference) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := types.NamespacedName{Namespace: request.Namespace, Name: request.Name}
	if h := g.requests[key]; h != nil && h.uid == request.UID {
		delete(g.requests, key)
	}
}

// forget drops what was heard of the requests of a name.
func (g *growing) forget(key types.NamespacedName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.requests, key)
}

// String is a line for each component.
func (h *heardProgress) String() string {
	var lines []string
	for _, component := range slices.Sorted(maps.Keys(h.newest)) {
		p := h.newest[component]
		lines = append(lines, fmt.Sprintf("%s: %d of %d volumes have grown, at last heard %s: %s, %s of %s",
			component, p.Grown, p.Volumes, p.Claim, p.State, p.Capacity, p.To))
	}
	return strings.Join(lines, "; ")
}

// sayGrowing says in the status of a request how far its volumes are, when it is
// time to.
func (w *Watcher) sayGrowing(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	key := types.NamespacedName{Namespace: request.Namespace, Name: request.Name}
	if step := kubedb.StepOf(request); step != kubedb.StepExpand && step != kubedb.StepPause {
		w.growing.forget(key)
		return nil
	}
	message, again := w.growing.take(key, request.UID, time.Now())
	if again > 0 {
		w.loop.AddAfter(key, again)
	}
	if message == "" {
		return nil
	}
	status := request.Status
	status.Conditions = kubedb.SetCondition(status.Conditions, kubedb.Condition{
		Type: conditionGrowing, Status: metav1.ConditionTrue, Reason: conditionGrowing, Message: message,
		ObservedGeneration: request.Generation, LastTransitionTime: metav1.NewTime(time.Now()).Rfc3339Copy(),
	})
	return w.writeStatus(ctx, request, status)
}
