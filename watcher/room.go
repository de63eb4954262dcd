// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

const (
	// roomAgain is how often is looked whether there is room, while requests wait
	// for it: the broker says when it is full, and nobody says when it is not.
	roomAgain = 5 * time.Second
	// probeEvery is how often at most the broker is tried while requests are under
	// way and nothing is heard of them: a step that cannot publish cannot tell us.
	probeEvery = 10 * time.Second
)

// rooms are the requests that wait until chains may begin. One look serves all of
// them.
type rooms struct {
	mu      sync.Mutex
	waiting map[types.NamespacedName]struct{}
}

// waitForRoom says in the status why the request does not begin, where err is a
// [bus.NoRoom], and has it looked at again when it may. Any other error comes back.
// What it says stays as it was said first: it is how full the broker was then.
func (w *Watcher) waitForRoom(ctx context.Context, request *kubedb.SinglestoreOpsRequest, err error) error {
	var noRoom *bus.NoRoom
	if !errors.As(err, &noRoom) {
		return err
	}
	w.rooms.mu.Lock()
	if len(w.rooms.waiting) == 0 {
		w.rooms.waiting = map[types.NamespacedName]struct{}{}
		time.AfterFunc(roomAgain, w.lookForRoom)
	}
	w.rooms.waiting[types.NamespacedName{Namespace: request.Namespace, Name: request.Name}] = struct{}{}
	w.rooms.mu.Unlock()
	if said := kubedb.FindCondition(request.Status.Conditions, conditionWaiting); said != nil && said.Reason == noRoom.Reason {
		return nil
	}
	zerolog.Ctx(ctx).Warn().Str("request", request.Namespace+"/"+request.Name).Err(noRoom).Msg("request has to wait for the broker")
	return w.wait(ctx, request, kubedb.OpsPending, noRoom.Reason, noRoom.Message)
}

// lookForRoom has the requests looked at that wait for room, if there is some.
func (w *Watcher) lookForRoom() {
	ctx, cancel := context.WithTimeout(context.Background(), roomAgain)
	defer cancel()
	if err := w.Chain.Room(ctx); err != nil {
		time.AfterFunc(roomAgain, w.lookForRoom)
		return
	}
	w.rooms.mu.Lock()
	waiting := w.rooms.waiting
	w.rooms.waiting = nil
	w.rooms.mu.Unlock()
	for key := range waiting {
		w.loop.AddAfter(key, 0)
	}
}

// sayBroker says in the status of a request under way that the broker stores
// nothing, without which no step can end, and takes that back. It reports whether
// that is so.
func (w *Watcher) sayBroker(ctx context.Context, request *kubedb.SinglestoreOpsRequest) (waits bool, err error) {
	said := kubedb.FindCondition(request.Status.Conditions, conditionWaiting)
	says := said != nil && said.Reason == bus.ReasonBrokerNotWritable
	switch trouble := w.Chain.Writable(); {
	case trouble != nil && says:
		return true, nil
	case trouble != nil:
		return true, w.wait(ctx, request, request.Status.Phase, bus.ReasonBrokerNotWritable, trouble.Error())
	case says:
		status := request.Status
		status.Conditions = kubedb.RemoveCondition(status.Conditions, conditionWaiting)
		return false, w.writeStatus(ctx, request, status)
	default:
		return false, nil
	}
}

// lookAtAll has every request looked at that has not ended.
func (w *Watcher) lookAtAll() {
	for _, database := range w.requests.GetIndexer().ListIndexFuncValues(byDatabase) {
		for _, request := range w.unfinishedOf(database) {
			w.loop.AddAfter(types.NamespacedName{Namespace: request.Namespace, Name: request.Name}, 0)
		}
	}
}

// tryBroker tries, while requests are under way, whether the broker stores what is
// published, until the context ends. Whoever publishes knows by itself, so that
// nothing is tried while facts are stored.
func (w *Watcher) tryBroker(ctx context.Context) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if w.underWay() {
			w.Chain.Probe(ctx, probeEvery)
		}
	}
}

// underWay reports whether a chain is.
func (w *Watcher) underWay() bool {
	for _, database := range w.requests.GetIndexer().ListIndexFuncValues(byDatabase) {
		for _, request := range w.unfinishedOf(database) {
			if request.Status.Phase == kubedb.OpsProgressing {
				return true
			}
		}
	}
	return false
}
