// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// place is where a request stands among those of its database. The rules are
// KubeDB's: one request at a time; of several of one type that have not started,
// the newest runs, the older ones are skipped; of different types the oldest
// goes first.
type place struct {
	// skippedFor is the newer request that makes this one needless, or nil.
	skippedFor *kubedb.SinglestoreOpsRequest
	// behind is the request that must end first, or nil.
	behind *kubedb.SinglestoreOpsRequest
	// position is 1 for the request that is next.
	position int
}

// place finds the request's place. It is a matter of order only: should two
// watchers see different lists, the pause of the database still lets one request
// at a time work on it.
func (w *Watcher) place(ctx context.Context, request *kubedb.SinglestoreOpsRequest) (place, error) {
	all := w.unfinishedOf(databaseKey(request))
	for i, other := range all {
		if other.UID == request.UID || !pending(other) {
			continue
		}
		// Its status may lag behind its chain.
		last, err := w.Chain.Last(ctx, chainKey(other))
		switch {
		case errors.Is(err, bus.ErrNoChain):
		case err != nil:
			return place{}, err
		case !last.Fact.Ends():
			all[i] = other.DeepCopy()
			all[i].Status.Phase = kubedb.OpsProgressing
		}
	}
	return placeOf(request, all), nil
}

// placeOf finds the request's place in the unfinished requests of its database,
// which may hold the request itself.
func placeOf(request *kubedb.SinglestoreOpsRequest, all []*kubedb.SinglestoreOpsRequest) place {
	var running *kubedb.SinglestoreOpsRequest
	newest := map[kubedb.OpsRequestType]*kubedb.SinglestoreOpsRequest{request.Spec.Type: request}
	for _, other := range all {
		switch {
		case other.UID == request.UID:
		case other.Status.Phase == kubedb.OpsProgressing:
			running = other
		case !pending(other), other.DeletionTimestamp != nil:
			// It waits for somebody's approval, or will never start.
		case newest[other.Spec.Type] == nil || older(newest[other.Spec.Type], other) < 0:
			newest[other.Spec.Type] = other
		}
	}
	if running != nil {
		// What has started goes on; who is skipped is decided when it has ended.
		return place{behind: running, position: 2}
	}
	if winner := newest[request.Spec.Type]; winner != request {
		return place{skippedFor: winner}
	}
	queue := make([]*kubedb.SinglestoreOpsRequest, 0, len(newest))
	for _, head := range newest {
		queue = append(queue, head)
	}
	slices.SortFunc(queue, older)
	at := slices.Index(queue, request)
	if at == 0 {
		return place{position: 1}
	}
	return place{behind: queue[at-1], position: at + 1}
}

// older orders by creation; KubeDB breaks ties by name, descending.
func older(a, b *kubedb.SinglestoreOpsRequest) int {
	if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
		return order
	}
	return strings.Compare(b.Name, a.Name)
}

// waitsFor says in words why a request has not started.
func (p place) waitsFor() string {
	return fmt.Sprintf("number %d in the queue of its database, behind %s %s/%s", p.position, kubedb.KindSinglestoreOpsRequest, p.behind.Namespace, p.behind.Name)
}
