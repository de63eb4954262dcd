// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// conditionWaiting says what a request waits for. Its reasons are the plan's.
const conditionWaiting = kubedb.ConditionWaiting

// Fold returns the status of a request after the event. An event carries the
// history of its chain, so that any one of them is enough: facts that were
// missed are made up for, and a fact that comes late or twice changes nothing.
func Fold(status kubedb.OpsRequestStatus, e events.Event) kubedb.OpsRequestStatus {
	if status.Phase.Terminal() {
		return status
	}
	status.ObservedGeneration = e.Operation.Request.Generation
	status.Phase = phase(e)
	if growthIsOver(e.Fact) || !waitsForVolume(status.Conditions) {
		status.Conditions = kubedb.RemoveCondition(status.Conditions, conditionWaiting)
	}
	if growthIsOver(e.Fact) {
		status.Conditions = kubedb.RemoveCondition(status.Conditions, conditionGrowing)
	}
	for _, passed := range e.Operation.History {
		for _, condition := range conditions(passed.Fact, e.Operation) {
			status.Conditions = fold(status.Conditions, condition, passed.Time)
		}
	}
	return status
}

// growthIsOver reports whether no volume grows any more after the fact.
func growthIsOver(fact events.Fact) bool { return fact != events.Requested && fact != events.Paused }

// fold puts one condition of the past into the list. What was said to be False
// is a failure, which no earlier fact takes back.
func fold(list []kubedb.Condition, condition kubedb.Condition, at time.Time) []kubedb.Condition {
	if kubedb.IsConditionFalse(list, condition.Type) {
		return list
	}
	condition.LastTransitionTime = metav1.NewTime(at).Rfc3339Copy()
	return kubedb.SetCondition(list, condition)
}

// phase is the request's phase after the event. Until the database is resumed,
// a failed request is still Progressing: a terminal phase promises that it is.
func phase(e events.Event) kubedb.OpsRequestPhase {
	switch {
	case !e.Fact.Ends():
		return kubedb.OpsProgressing
	case e.Operation.Outcome == events.OutcomeSuccessful:
		return kubedb.OpsSuccessful
	case skipped(e.Operation):
		return kubedb.OpsSkipped
	default:
		return kubedb.OpsFailed
	}
}

// conditions are what a fact adds to the status, in KubeDB's words.
func conditions(fact events.Fact, op events.Operation) []kubedb.Condition {
	generation := op.Request.Generation
	done := func(conditionType, message string) kubedb.Condition {
		return kubedb.NewOpsCondition(conditionType, message, generation)
	}
	failed := func(message string) []kubedb.Condition {
		return []kubedb.Condition{kubedb.NewFailedCondition(kubedb.ConditionVolumeExpansion, message, generation)}
	}
	switch fact {
	case events.Requested:
		return []kubedb.Condition{done(kubedb.ConditionVolumeExpansion, kubedb.MessageVolumeExpansionStarted)}
	case events.Paused:
		return []kubedb.Condition{done(kubedb.ConditionDatabasePauseSucceeded, kubedb.MessageDatabasePaused)}
	case events.Expanded:
		var list []kubedb.Condition
		for _, component := range op.Components {
			if len(component.Shared) == 0 {
				list = append(list, done(kubedb.VolumeCondition(component.Name)))
			}
		}
		if recovered(op) {
			list = append(list, failed(op.Failure.Error())...)
		}
		return append(list, reports(op, done)...)
	case events.Updated:
		return []kubedb.Condition{
			done(kubedb.ConditionUpdatePetSets, kubedb.MessageUpdatePetSets),
			done(kubedb.ConditionReadyPetSets, kubedb.MessageReadyPetSets),
		}
	case events.Failed, events.Rejected:
		if skipped(op) {
			return []kubedb.Condition{done(kubedb.ConditionSkipped, op.Failure.Message)}
		}
		return failed(op.Failure.Error())
	case events.Cancelled:
		return failed(cancellation(op))
	case events.Resumed:
		if op.Outcome == events.OutcomeSuccessful {
			return []kubedb.Condition{done(kubedb.ConditionSuccessful, kubedb.MessageSuccessful)}
		}
	}
	return nil
}

// cancellation says why a request was cancelled.
func cancellation(op events.Operation) string {
	if why := op.Failure; why != nil && why.Reason == reasonNamespaceTerminating {
		return "cancelled: " + why.Message
	}
	return "cancelled: the request was deleted while it was under way"
}

// recovered reports whether volumes could not grow, and the request went on for
// those that did.
func recovered(op events.Operation) bool {
	return slices.ContainsFunc(op.Components, func(c events.Component) bool { return len(c.Shared) > 0 })
}

// skipped reports whether the request was rejected for a newer one.
func skipped(op events.Operation) bool {
	return op.Failure != nil && op.Failure.Reason == kubedb.ConditionSkipped
}
