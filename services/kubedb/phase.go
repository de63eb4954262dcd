// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PhaseFromConditions derives a database's phase from its conditions, by KubeDB's rules and in their order. Provisioned
// decides whether trouble is a loss or still a start; Paused has no part in it: a paused database may well be Ready.
func PhaseFromConditions(conds []Condition) DatabasePhase {
	provisioned := IsConditionTrue(conds, ConditionProvisioned)
	switch {
	case IsConditionTrue(conds, ConditionHealthCheckPaused):
		return DatabaseUnknown
	case IsConditionTrue(conds, ConditionHalted):
		return DatabaseHalted
	case restoring(conds):
		return DatabaseDataRestoring
	case restoreFailed(conds):
		return DatabaseNotReady
	case provisioned && IsConditionFalse(conds, ConditionAcceptingConnection):
		return DatabaseNotReady
	case provisioned && IsConditionFalse(conds, ConditionReplicaReady):
		return DatabaseCritical
	case provisioned && IsConditionFalse(conds, ConditionReady):
		return DatabaseCritical
	case provisioned && IsConditionTrue(conds, ConditionReady):
		return DatabaseReady
	case IsConditionTrue(conds, ConditionProvisioningStarted):
		return DatabaseProvisioning
	default:
		return ""
	}
}

// restoring reports whether a restore has started and not ended since: DataRestored appears at the end, and the one of
// an earlier restore is older than the start of this one.
func restoring(conds []Condition) bool {
	started := FindCondition(conds, ConditionDataRestoreStarted)
	if started == nil || started.Status != metav1.ConditionTrue {
		return false
	}
	ended := FindCondition(conds, ConditionDataRestored)
	return ended == nil || ended.LastTransitionTime.Before(&started.LastTransitionTime)
}

// restoreFailed reports whether the last restore ended without success, so that nobody should use the database.
func restoreFailed(conds []Condition) bool {
	return IsConditionTrue(conds, ConditionDataRestoreStarted) && !IsConditionTrue(conds, ConditionDataRestored)
}
