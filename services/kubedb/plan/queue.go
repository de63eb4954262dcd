// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Place is where a request stands among those of its database. The rules are
// KubeDB's: one request at a time; of several of one type that have not started,
// the newest runs, the older ones are skipped; of different types the oldest
// goes first.
type Place struct {
	// SkippedFor is the newer request that makes this one needless, or nil.
	SkippedFor *kubedb.SinglestoreOpsRequest
	// Behind is the request that must end first, or nil.
	Behind *kubedb.SinglestoreOpsRequest
	// Position is 1 for the request that is next.
	Position int
}

// PlaceOf finds the request's place in the unfinished requests of its database,
// which may hold the request itself.
func PlaceOf(request *kubedb.SinglestoreOpsRequest, all []*kubedb.SinglestoreOpsRequest) Place {
	var running *kubedb.SinglestoreOpsRequest
	newest := map[kubedb.OpsRequestType]*kubedb.SinglestoreOpsRequest{request.Spec.Type: request}
	for _, other := range all {
		switch {
		case other.UID == request.UID:
		case other.Status.Phase == kubedb.OpsProgressing:
			running = other
		case !Pending(other), other.DeletionTimestamp != nil:
			// It waits for somebody's approval, or will never start.
		case newest[other.Spec.Type] == nil || older(newest[other.Spec.Type], other) < 0:
			newest[other.Spec.Type] = other
		}
	}
	if running != nil {
		// What has started goes on; who is skipped is decided when it has ended.
		return Place{Behind: running, Position: 2}
	}
	if winner := newest[request.Spec.Type]; winner != request {
		return Place{SkippedFor: winner}
	}
	queue := make([]*kubedb.SinglestoreOpsRequest, 0, len(newest))
	for _, head := range newest {
		queue = append(queue, head)
	}
	slices.SortFunc(queue, older)
	at := slices.Index(queue, request)
	if at == 0 {
		return Place{Position: 1}
	}
	return Place{Behind: queue[at-1], Position: at + 1}
}

// older orders by creation; KubeDB breaks ties by name, descending.
func older(a, b *kubedb.SinglestoreOpsRequest) int {
	if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
		return order
	}
	return strings.Compare(b.Name, a.Name)
}

// Pending reports whether nobody has begun with the request.
func Pending(request *kubedb.SinglestoreOpsRequest) bool {
	switch request.Status.Phase {
	case "", kubedb.OpsPending, kubedb.OpsApproved:
		return true
	default:
		return false
	}
}

// Finding says what the place means for the request; nil if it is the next.
func (p Place) Finding() *Finding {
	var finding Finding
	switch {
	case p.SkippedFor != nil:
		finding = blocking("spec.databaseRef", ReasonSkipped, "%s", kubedb.SkippedMessage(p.SkippedFor))
	case p.Behind != nil:
		finding = waiting(StepAdmit, ReasonQueued, "number %d in the queue of its database, behind %s %s/%s",
			p.Position, kubedb.KindSinglestoreOpsRequest, p.Behind.Namespace, p.Behind.Name)
	default:
		return nil
	}
	return &finding
}

// Queue adds to the plan what the other requests of the database mean for the
// request, as far as they can be listed, and what its own phase does. A request
// without a UID is planned before it is created.
func (p *Planner) Queue(ctx context.Context, plan *Plan, request *kubedb.SinglestoreOpsRequest) error {
	switch {
	case request.Status.Phase.Terminal():
		plan.Findings = plan.Findings[:0] // what would be is nobody's concern any more
		plan.add(blocking("metadata.name", ReasonEnded, "the request has ended: %s; create a new one", request.Status.Phase))
		return nil
	case !Pending(request):
		plan.add(warning(ReasonUnderWay, "the request is under way: %s; the plan is of what is left to do", request.Status.Phase))
		return nil
	}
	requests, err := p.Client.SinglestoreOpsRequests(request.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		findings, err := unchecked("whether another request is in the way", err)
		plan.add(findings...)
		return err
	}
	var all []*kubedb.SinglestoreOpsRequest
	for i := range requests.Items {
		other := &requests.Items[i]
		switch {
		case request.UID == "" && other.Name == request.Name:
			plan.add(blocking("metadata.name", ReasonNameTaken, "there is a request of that name, and its spec cannot be changed: choose another name"))
		case other.Spec.DatabaseRef.Name == request.Spec.DatabaseRef.Name && !other.Status.Phase.Terminal():
			all = append(all, other)
		}
	}
	if finding := PlaceOf(request, all).Finding(); finding != nil {
		plan.add(*finding)
	}
	return nil
}
