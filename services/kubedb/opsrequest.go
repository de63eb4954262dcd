// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SinglestoreOpsRequest asks for one change of a Singlestore database. Its spec never changes.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type SinglestoreOpsRequest struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   SinglestoreOpsRequestSpec `json:"spec,omitempty"`
	Status OpsRequestStatus          `json:"status,omitempty"`

	origin origin
}

// SinglestoreOpsRequestList is a list of requests.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type SinglestoreOpsRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []SinglestoreOpsRequest `json:"items"`
}

// SinglestoreOpsRequestSpec says what should change.
type SinglestoreOpsRequestSpec struct {
	// DatabaseRef names a Singlestore in the request's namespace.
	DatabaseRef corev1.LocalObjectReference `json:"databaseRef"`
	// Type is one of OpsRequestTypes; the relay runs TypeVolumeExpansion.
	Type OpsRequestType `json:"type"`
	// VolumeExpansion holds the sizes of a request of that type.
	VolumeExpansion *VolumeExpansion `json:"volumeExpansion,omitempty"`
	// Timeout bounds each step of the request, not the whole.
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// Apply says whether the database must be Ready; ApplyIfReady by default.
	Apply ApplyOption `json:"apply,omitempty"`
	// MaxRetries bounds how many times a failed step is tried again; 1 by default.
	MaxRetries *int32 `json:"maxRetries,omitempty"`
}

// VolumeExpansion holds the new sizes of a database's volumes. A component without a size is left alone.
type VolumeExpansion struct {
	// Mode is required by the CRD.
	Mode VolumeExpansionMode `json:"mode"`
	// Node is the size for a standalone database.
	Node *resource.Quantity `json:"node,omitempty"`
	// Aggregator is the size for the aggregators of a cluster.
	Aggregator *resource.Quantity `json:"aggregator,omitempty"`
	// Leaf is the size for the leaves of a cluster.
	Leaf *resource.Quantity `json:"leaf,omitempty"`
}

// OpsRequestStatus is how far a request has come.
type OpsRequestStatus struct {
	Phase              OpsRequestPhase `json:"phase,omitempty"`
	ObservedGeneration int64           `json:"observedGeneration,omitempty"`
	Conditions         []Condition     `json:"conditions,omitempty"`
}

// Invalid returns why the spec could not be read, or nil. The CRD's patterns allow more than a quantity or a duration
// does; the spec of such an object is empty here, and whoever acts on an object must ask first.
func (r *SinglestoreOpsRequest) Invalid() error { return r.origin.invalid }

// UnmarshalJSON keeps the JSON, so that no field is lost when the object is written. See Invalid.
func (r *SinglestoreOpsRequest) UnmarshalJSON(data []byte) error {
	type plain SinglestoreOpsRequest
	var read plain
	if err := readWithOrigin(data, &read, &read.origin); err != nil {
		return err
	}
	*r = SinglestoreOpsRequest(read)
	return nil
}

// MarshalJSON writes the JSON the object was read from with the changes since.
func (r SinglestoreOpsRequest) MarshalJSON() ([]byte, error) {
	type plain SinglestoreOpsRequest
	return writeWithOrigin((*plain)(&r), r.origin)
}
