// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"fmt"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// kind is the kind of database in subjects.
const kind = "singlestore"

// operation is the payload of an admitted request.
func (w *Watcher) operation(request *kubedb.SinglestoreOpsRequest, p plan.Plan) events.Operation {
	timeout, retries := w.StepTimeout, 1 // KubeDB's default
	if request.Spec.Timeout != nil {
		timeout = request.Spec.Timeout.Duration
	}
	if request.Spec.MaxRetries != nil {
		retries = int(*request.Spec.MaxRetries)
	}
	op := events.Operation{
		Request: reference(request),
		Database: events.Reference{
			Kind: kubedb.KindSinglestore, Namespace: p.Database.Namespace, Name: p.Database.Name,
			UID: string(p.Database.UID), Generation: p.Database.Generation,
		},
		Mode:        events.Mode(request.Spec.VolumeExpansion.Mode),
		Apply:       events.Apply(request.Spec.Apply),
		Infeasible:  events.Infeasible(request.Annotations[kubedb.AnnotationInfeasible]),
		StepTimeout: events.SecondsOf(timeout),
		MaxRetries:  retries,
	}
	if request.Annotations[AnnotationLeftoverClaims] == "grow" {
		op.Leftovers = events.GrowLeftovers
	}
	for _, component := range p.Components {
		c := events.Component{Name: component.Name, Workload: component.Workload, From: component.From, To: component.To}
		for _, volume := range component.Volumes {
			c.Volumes = append(c.Volumes, events.Volume{Claim: volume.Claim, Capacity: volume.Capacity})
		}
		op.Components = append(op.Components, c)
	}
	return op
}

func rejection(request *kubedb.SinglestoreOpsRequest, refusal *plan.Refusal) events.Event {
	return events.First(events.Rejected, kind, events.Operation{
		Request: reference(request), Database: databaseReference(request), Failure: refused(request, refusal),
	})
}

// skipping rejects a request that a newer one makes needless. It is a fact like
// any other, so that it cannot be skipped and begun at once.
func skipping(request, newest *kubedb.SinglestoreOpsRequest) events.Event {
	e := rejection(request, &plan.Refusal{Reason: kubedb.ConditionSkipped})
	e.Operation.Failure.Message = kubedb.SkippedMessage(newest)
	return e
}

func refused(request *kubedb.SinglestoreOpsRequest, refusal *plan.Refusal) *events.Failure {
	return &events.Failure{
		Step: "admit", Object: fmt.Sprintf("%s %s/%s", kubedb.KindSinglestoreOpsRequest, request.Namespace, request.Name),
		Reason: refusal.Reason, Message: refusal.Error(),
	}
}

// maxName is how long the name of an object can be, in bytes.
const maxName = 253

// databaseReference is the database as far as the request itself names it. What
// stands there may be a megabyte long, and no name.
func databaseReference(request *kubedb.SinglestoreOpsRequest) events.Reference {
	return events.Reference{
		Kind: kubedb.KindSinglestore, Namespace: request.Namespace, Name: events.Shorten(request.Spec.DatabaseRef.Name, maxName),
	}
}

func reference(request *kubedb.SinglestoreOpsRequest) events.Reference {
	return events.Reference{
		Kind: kubedb.KindSinglestoreOpsRequest, Namespace: request.Namespace, Name: request.Name,
		UID: string(request.UID), Generation: request.Generation,
	}
}

func chainKey(request *kubedb.SinglestoreOpsRequest) events.ChainKey {
	return events.ChainKey{Kind: kind, Namespace: request.Namespace, UID: string(request.UID)}
}
