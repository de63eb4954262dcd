// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PetSet is a set of pods with stable names and volumes: a StatefulSet whose claim templates may change in place.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type PetSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   PetSetSpec               `json:"spec,omitempty"`
	Status appsv1.StatefulSetStatus `json:"status,omitempty"`

	origin origin
}

// PetSetList is a list of PetSets.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type PetSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []PetSet `json:"items"`
}

// PetSetSpec says which pods and claims a set has. Defaults are those of a StatefulSet; KubeDB's webhook fills them in,
// so a reader must expect them unset.
type PetSetSpec struct {
	// Distributed means that the pods live in other clusters and are not made here.
	Distributed bool `json:"distributed,omitempty"`
	// Replicas defaults to 1.
	Replicas *int32 `json:"replicas,omitempty"`
	// Selector must match the labels of Template.
	Selector *metav1.LabelSelector `json:"selector"`
	// Template is the pod. A change of it makes a new revision.
	Template corev1.PodTemplateSpec `json:"template"`
	// VolumeClaimTemplates are the claims of each pod. A change affects only claims made later and makes no revision.
	VolumeClaimTemplates []corev1.PersistentVolumeClaim `json:"volumeClaimTemplates,omitempty"`
	// ServiceName is the governing headless Service.
	ServiceName string `json:"serviceName"`
	// PodManagementPolicy defaults to OrderedReady.
	PodManagementPolicy appsv1.PodManagementPolicyType `json:"podManagementPolicy,omitempty"`
	// UpdateStrategy defaults to RollingUpdate; KubeDB uses OnDelete.
	UpdateStrategy appsv1.StatefulSetUpdateStrategy `json:"updateStrategy,omitzero"`
	// RevisionHistoryLimit defaults to 10.
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`
	// MinReadySeconds is how long a pod must be ready to count as available.
	MinReadySeconds int32 `json:"minReadySeconds,omitempty"`
	// PersistentVolumeClaimRetentionPolicy defaults to Retain in both cases.
	PersistentVolumeClaimRetentionPolicy *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy `json:"persistentVolumeClaimRetentionPolicy,omitempty"`
	// Ordinals sets the first pod's number, 0 by default.
	Ordinals *appsv1.StatefulSetOrdinals `json:"ordinals,omitempty"`
	// PodPlacementPolicy names a PlacementPolicy.
	PodPlacementPolicy *corev1.LocalObjectReference `json:"podPlacementPolicy,omitempty"`
}

// Invalid returns why the spec could not be read, or nil. The CRD's patterns allow more than a quantity or a duration
// does; the spec of such an object is empty here, and whoever acts on an object must ask first.
func (s *PetSet) Invalid() error { return s.origin.invalid }

// UnmarshalJSON keeps the JSON, so that no field is lost when the object is written. See Invalid.
func (s *PetSet) UnmarshalJSON(data []byte) error {
	type plain PetSet
	var read plain
	if err := readWithOrigin(data, &read, &read.origin); err != nil {
		return err
	}
	*s = PetSet(read)
	return nil
}

// MarshalJSON writes the JSON the object was read from with the changes since.
func (s PetSet) MarshalJSON() ([]byte, error) {
	type plain PetSet
	return writeWithOrigin((*plain)(&s), s.origin)
}
