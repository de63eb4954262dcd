// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"regexp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Owner is the object on whose behalf a database is paused.
//
// +k8s:deepcopy-gen=false
type Owner struct {
	// Kind is e.g. SinglestoreOpsRequest.
	Kind string
	// Namespace and Name say which one.
	Namespace, Name string
	// UID tells it from a later object of the same name.
	UID types.UID
}

// IsZero reports whether the owner is unknown.
func (o Owner) IsZero() bool { return o == Owner{} }

// OwnerOf is the owner of a pause that is taken for a request.
func OwnerOf(request *SinglestoreOpsRequest) Owner {
	return Owner{Kind: KindSinglestoreOpsRequest, Namespace: request.Namespace, Name: request.Name, UID: request.UID}
}

// PauseMessage is the message of the Paused condition of a pause that owner holds.
func PauseMessage(owner Owner) string {
	return "Paused by " + owner.Kind + " " + owner.Namespace + "/" + owner.Name + ", uid " + string(owner.UID)
}

// pauseMessage is what PauseMessage writes. Nothing else may match it: KubeDB's own pause names no owner, and its CLI
// says "Paused by KubeDB CLI tool".
var pauseMessage = regexp.MustCompile(`^Paused by ([A-Za-z]+) ([a-z0-9-]+)/([a-z0-9.-]+), uid ([A-Za-z0-9-]+)$`)

// ParsePauseMessage is the inverse of PauseMessage; ok is false for a message that somebody else wrote.
func ParsePauseMessage(message string) (owner Owner, ok bool) {
	match := pauseMessage.FindStringSubmatch(message)
	if match == nil {
		return Owner{}, false
	}
	return Owner{Kind: match[1], Namespace: match[2], Name: match[3], UID: types.UID(match[4])}, true
}

// PausedBy reports whether the database is paused, and on whose behalf; the owner is zero when somebody paused it who
// does not say so in our way.
func PausedBy(db *Singlestore) (owner Owner, paused bool) {
	condition := FindCondition(db.Status.Conditions, ConditionPaused)
	if condition == nil || condition.Status != metav1.ConditionTrue {
		return Owner{}, false
	}
	owner, _ = ParsePauseMessage(condition.Message)
	return owner, true
}

// IsPaused reports whether the database is paused, by whomever.
func IsPaused(db *Singlestore) bool {
	return IsConditionTrue(db.Status.Conditions, ConditionPaused)
}

// PauseCondition is the condition that pauses a database of that generation for owner.
func PauseCondition(owner Owner, generation int64) Condition {
	return Condition{
		Type:               ConditionPaused,
		Status:             metav1.ConditionTrue,
		Reason:             ReasonPaused,
		Message:            PauseMessage(owner),
		ObservedGeneration: generation,
	}
}
