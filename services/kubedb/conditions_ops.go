// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition types of a SinglestoreOpsRequest of type VolumeExpansion, in the order of the steps. KubeDB gives a
// condition the reason of the same name; NewOpsCondition does so too.
const (
	// ConditionVolumeExpansion is True when the request has started, False with reason ReasonFailed when it failed.
	ConditionVolumeExpansion = "VolumeExpansion"
	// ConditionDatabasePauseSucceeded is True when the database is paused.
	ConditionDatabasePauseSucceeded = "DatabasePauseSucceeded"
	// ConditionOrphanPetSetPods is True when the workload was deleted without its pods. The relay has no need to.
	ConditionOrphanPetSetPods = "OrphanPetSetPods"
	// ConditionUpdateNodePVCs is True when the volumes of a standalone database have grown.
	ConditionUpdateNodePVCs = "UpdateNodePVCs"
	// ConditionUpdateAggregatorNodePVCs is True when the volumes of the aggregators have grown.
	ConditionUpdateAggregatorNodePVCs = "UpdateAggregatorNodePVCs"
	// ConditionUpdateLeafNodePVCs is True when the volumes of the leaves have grown.
	ConditionUpdateLeafNodePVCs = "UpdateLeafNodePVCs"
	// ConditionUpdatePetSets is True when claim templates and the database object carry the new sizes.
	ConditionUpdatePetSets = "UpdatePetSets"
	// ConditionReadyPetSets is True when every workload is there and whole.
	ConditionReadyPetSets = "ReadyPetSets"
	// ConditionSuccessful is True at the end of a request that did what it was asked to.
	ConditionSuccessful = "Successful"
	// ConditionSkipped is True on a request that a newer one made needless.
	ConditionSkipped = "Skipped"
	// ConditionWaiting is our own; KubeDB has none for that. It says what a request waits for, and goes away when the
	// request goes on.
	ConditionWaiting = "Waiting"
)

// Reasons that differ from their condition's type.
const (
	// ReasonFailed is the reason of a condition that is False because its step failed.
	ReasonFailed = "Failed"
	// ReasonVolumeExpansionFailed is KubeDB's event reason for a failed expansion.
	ReasonVolumeExpansionFailed = "VolumeExpansionFailed"
	// ReasonDatabasePauseFailed is KubeDB's reason for a pause that could not be taken.
	ReasonDatabasePauseFailed = "DatabasePauseFailed"
	// ReasonDatabaseResumeFailed is KubeDB's reason for a pause that could not be given back.
	ReasonDatabaseResumeFailed = "DatabaseResumeFailed"
	// ReasonDatabaseResumeSucceeded is KubeDB's reason for a pause that was given back.
	ReasonDatabaseResumeSucceeded = "DatabaseResumeSucceeded"
	// ReasonRetrying is KubeDB's reason for a failed step that is tried again.
	ReasonRetrying = "Retrying"
)

// Messages of the conditions above, as KubeDB writes them.
const (
	MessageVolumeExpansionStarted   = "Singlestore ops-request has started to expand volume of singlestore nodes."
	MessageDatabasePaused           = "Successfully paused database"
	MessageOrphanPetSetPods         = "successfully deleted the petSets with orphan propagation policy"
	MessageUpdateNodePVCs           = "successfully updated Node node PVC sizes"
	MessageUpdateAggregatorNodePVCs = "successfully updated Aggregator node PVC sizes"
	MessageUpdateLeafNodePVCs       = "successfully updated Leaf node PVC sizes"
	MessageUpdatePetSets            = "successfully reconciled the Singlestore resources"
	MessageReadyPetSets             = "PetSet is recreated"
	MessageSuccessful               = "Successfully completed volumeExpansion for Singlestore"
)

// Reasons of the Kubernetes events that KubeDB records about a request.
const (
	EventStarting   = "Starting"
	EventSuccessful = "Successful"
	EventFailed     = "Failed"
)

// NewOpsCondition returns a True condition whose reason is its type, as KubeDB builds them.
func NewOpsCondition(conditionType, message string, generation int64) Condition {
	return Condition{
		Type:               conditionType,
		Status:             metav1.ConditionTrue,
		Reason:             conditionType,
		Message:            message,
		ObservedGeneration: generation,
	}
}

// NewFailedCondition returns the condition of a failed step: False, reason Failed.
func NewFailedCondition(conditionType, message string, generation int64) Condition {
	return Condition{
		Type:               conditionType,
		Status:             metav1.ConditionFalse,
		Reason:             ReasonFailed,
		Message:            message,
		ObservedGeneration: generation,
	}
}

// VolumeCondition returns the type and message of the condition that says that a component's volumes have grown.
func VolumeCondition(component string) (conditionType, message string) {
	switch component {
	case ComponentAggregator:
		return ConditionUpdateAggregatorNodePVCs, MessageUpdateAggregatorNodePVCs
	case ComponentLeaf:
		return ConditionUpdateLeafNodePVCs, MessageUpdateLeafNodePVCs
	default:
		return ConditionUpdateNodePVCs, MessageUpdateNodePVCs
	}
}

// SkippedMessage is the message of ConditionSkipped; newest is the request that runs instead.
func SkippedMessage(newest *SinglestoreOpsRequest) string {
	return fmt.Sprintf("skipped as %s/%s is the most updated %s of type %s at %s", newest.Namespace, newest.Name,
		KindSinglestoreOpsRequest, newest.Spec.Type, newest.CreationTimestamp)
}

// StartProcessingMessage is the message of the event at the start of a request.
func StartProcessingMessage(request *SinglestoreOpsRequest) string {
	return fmt.Sprintf("Start processing for %s: %s/%s", KindSinglestoreOpsRequest, request.Namespace, request.Name)
}

// PausingMessage is the message of the event before a database is paused.
func PausingMessage(namespace, database string) string {
	return fmt.Sprintf("Pausing Singlestore database: %s/%s", namespace, database)
}

// PausedMessage is the message of the event after a database was paused.
func PausedMessage(namespace, database, request string) string {
	return fmt.Sprintf("Successfully paused Singlestore database: %s/%s for %s: %s", namespace, database,
		KindSinglestoreOpsRequest, request)
}

// ResumingMessage is the message of the event before a database is resumed.
func ResumingMessage(namespace, database string) string {
	return fmt.Sprintf("Resuming Singlestore database: %s/%s", namespace, database)
}

// ResumedMessage is the message of the event after a database was resumed.
func ResumedMessage(namespace, database, request string) string {
	return fmt.Sprintf("Successfully resumed Singlestore database: %s/%s for %s: %s", namespace, database,
		KindSinglestoreOpsRequest, request)
}
