// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// sayWhoPauses says in the status that somebody else holds the database paused,
// which the request has to wait for.
func (w *Watcher) sayWhoPauses(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	object, exists, err := w.databases.GetStore().GetByKey(databaseKey(request))
	if err != nil || !exists || hasPaused(request) {
		return err
	}
	finding := plan.PausedBySomebodyElse(object.(*kubedb.Singlestore), request)
	if finding == nil {
		return nil
	}
	return w.wait(ctx, request, request.Status.Phase, finding.Reason, finding.Message)
}

// hasPaused reports whether the request has come to hold its database paused.
func hasPaused(request *kubedb.SinglestoreOpsRequest) bool {
	return kubedb.IsConditionTrue(request.Status.Conditions, kubedb.ConditionDatabasePauseSucceeded)
}

// maxWaiting bounds what a request is said to wait for, in bytes: each of a
// thousand volumes may have a reason.
const maxWaiting = 4 << 10

// wait says in the status of a request what it waits for. It is looked at again
// when its database changes.
func (w *Watcher) wait(ctx context.Context, request *kubedb.SinglestoreOpsRequest, phase kubedb.OpsRequestPhase, reason, message string) error {
	status := request.Status
	status.Phase = phase
	status.ObservedGeneration = request.Generation
	status.Conditions = kubedb.SetCondition(status.Conditions, kubedb.Condition{
		Type: conditionWaiting, Status: metav1.ConditionTrue, Reason: reason, Message: events.Shorten(message, maxWaiting),
		ObservedGeneration: request.Generation, LastTransitionTime: metav1.NewTime(time.Now()).Rfc3339Copy(),
	})
	return w.writeStatus(ctx, request, status)
}
