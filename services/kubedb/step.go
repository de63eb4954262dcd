// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

// Step is what is being done for a request.
type Step string

// The steps of a request, in their order.
const (
	StepAdmit  Step = "admit"
	StepPause  Step = "pause"
	StepExpand Step = "expand"
	StepUpdate Step = "update"
	StepResume Step = "resume"
	// StepDone means that nothing is left to be done, well or not.
	StepDone Step = "done"
)

// StepOf reads from the conditions which step of the request is under way.
func StepOf(r *SinglestoreOpsRequest) Step {
	has := func(conditionType string) bool { return IsConditionTrue(r.Status.Conditions, conditionType) }
	failed := IsConditionFalse(r.Status.Conditions, ConditionVolumeExpansion)
	switch {
	case r.Status.Phase.Terminal():
		return StepDone
	case failed || r.DeletionTimestamp != nil || has(ConditionUpdatePetSets):
		return StepResume
	case has(ConditionUpdateNodePVCs), has(ConditionUpdateAggregatorNodePVCs), has(ConditionUpdateLeafNodePVCs):
		return StepUpdate
	case has(ConditionDatabasePauseSucceeded):
		return StepExpand
	case has(ConditionVolumeExpansion):
		return StepPause
	default:
		return StepAdmit
	}
}
