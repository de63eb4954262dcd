// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StatefulSet is Kubernetes' own, without loss: one that is written was read by a server that may know more fields than
// this program does.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type StatefulSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   appsv1.StatefulSetSpec   `json:"spec,omitempty"`
	Status appsv1.StatefulSetStatus `json:"status,omitempty"`

	origin origin
}

// StatefulSetList is a list of StatefulSets.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type StatefulSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []StatefulSet `json:"items"`
}

// Invalid is that of PetSet.
func (s *StatefulSet) Invalid() error { return s.origin.invalid }

// UnmarshalJSON keeps the JSON, so that no field is lost when the object is written. See Invalid.
func (s *StatefulSet) UnmarshalJSON(data []byte) error {
	type plain StatefulSet
	var read plain
	if err := readWithOrigin(data, &read, &read.origin); err != nil {
		return err
	}
	*s = StatefulSet(read)
	return nil
}

// MarshalJSON writes the JSON the object was read from with the changes since.
func (s StatefulSet) MarshalJSON() ([]byte, error) {
	type plain StatefulSet
	return writeWithOrigin((*plain)(&s), s.origin)
}
