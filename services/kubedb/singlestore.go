// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Singlestore is a SingleStore database: a cluster of aggregators and leaves, or a standalone node.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type Singlestore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   SinglestoreSpec   `json:"spec,omitempty"`
	Status SinglestoreStatus `json:"status,omitempty"`

	origin origin
}

// SinglestoreList is a list of databases.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type SinglestoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Singlestore `json:"items"`
}

// SinglestoreSpec says what a database should be.
type SinglestoreSpec struct {
	// Version is the name of a SinglestoreVersion, e.g. 8.7.10.
	Version string `json:"version,omitempty"`
	// Topology makes the database a cluster; without it, it is a standalone node.
	Topology *Topology `json:"topology,omitempty"`
	// StorageType is Durable (the default) or Ephemeral.
	StorageType StorageType `json:"storageType,omitempty"`
	// Storage is the claim of a standalone node.
	Storage *corev1.PersistentVolumeClaimSpec `json:"storage,omitempty"`
	// LicenseSecret names the Secret with the license; required by the CRD.
	LicenseSecret *SecretReference `json:"licenseSecret,omitempty"`
	// AuthSecret names the Secret with the root user's credentials; AuthSecretName of the database if not set.
	AuthSecret *SecretReference `json:"authSecret,omitempty"`
	// PodTemplate customises the pod of a standalone node.
	PodTemplate *PodTemplate `json:"podTemplate,omitempty"`
	// Halted asks for the removal of everything but the volumes. It has nothing to do with a pause.
	Halted bool `json:"halted,omitempty"`
	// DeletionPolicy says what is left when the database is deleted.
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// Topology is the shape of a cluster. KubeDB requires both parts.
type Topology struct {
	Aggregator *Node `json:"aggregator,omitempty"`
	Leaf       *Node `json:"leaf,omitempty"`
}

// Node describes the nodes of one role in a cluster.
type Node struct {
	// Replicas defaults to DefaultAggregatorReplicas or DefaultLeafReplicas.
	Replicas *int32 `json:"replicas,omitempty"`
	// Suffix goes between the database's name and the role in the workload's name.
	Suffix string `json:"suffix,omitempty"`
	// Storage is the claim of each node.
	Storage *corev1.PersistentVolumeClaimSpec `json:"storage,omitempty"`
	// PodTemplate customises the pods.
	PodTemplate *PodTemplate `json:"podTemplate,omitempty"`
}

// PodTemplate is the part of KubeDB's pod template that is used here. Unlike Kubernetes' own it needs no containers.
type PodTemplate struct {
	// Metadata goes to the pods.
	Metadata TemplateMetadata `json:"metadata,omitzero"`
	// Controller goes to the workload that runs the pods.
	Controller TemplateMetadata `json:"controller,omitzero"`
	// Spec goes to the pods; containers are merged by name with those of the database.
	Spec PodTemplateSpec `json:"spec,omitzero"`
}

// TemplateMetadata is what a template may add to an object's metadata.
type TemplateMetadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// PodTemplateSpec is the part of a pod's spec that a template may set.
type PodTemplateSpec struct {
	ServiceAccountName            string                        `json:"serviceAccountName,omitempty"`
	Containers                    []corev1.Container            `json:"containers,omitempty"`
	NodeSelector                  map[string]string             `json:"nodeSelector,omitempty"`
	Tolerations                   []corev1.Toleration           `json:"tolerations,omitempty"`
	SecurityContext               *corev1.PodSecurityContext    `json:"securityContext,omitempty"`
	ImagePullSecrets              []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	PriorityClassName             string                        `json:"priorityClassName,omitempty"`
	SchedulerName                 string                        `json:"schedulerName,omitempty"`
	TerminationGracePeriodSeconds *int64                        `json:"terminationGracePeriodSeconds,omitempty"`
}

// SecretReference names a Secret in the database's namespace.
type SecretReference struct {
	APIGroup string `json:"apiGroup,omitempty"`
	// Kind is Secret, the CRD's default.
	Kind string `json:"kind,omitempty"`
	Name string `json:"name"`
	// ExternallyManaged means that the Secret is never created or changed here.
	ExternallyManaged bool `json:"externallyManaged,omitempty"`
}

// SinglestoreStatus is what is known about a database.
type SinglestoreStatus struct {
	Phase              DatabasePhase `json:"phase,omitempty"`
	ObservedGeneration int64         `json:"observedGeneration,omitempty"`
	Conditions         []Condition   `json:"conditions,omitempty"`
}

// Invalid returns why the spec could not be read, or nil. The CRD's patterns allow more than a quantity or a duration
// does; the spec of such an object is empty here, and whoever acts on an object must ask first.
func (db *Singlestore) Invalid() error { return db.origin.invalid }

// UnmarshalJSON keeps the JSON, so that no field is lost when the object is written. See Invalid.
func (db *Singlestore) UnmarshalJSON(data []byte) error {
	type plain Singlestore
	var read plain
	if err := readWithOrigin(data, &read, &read.origin); err != nil {
		return err
	}
	*db = Singlestore(read)
	return nil
}

// MarshalJSON writes the JSON the object was read from with the changes since.
func (db Singlestore) MarshalJSON() ([]byte, error) {
	type plain Singlestore
	return writeWithOrigin((*plain)(&db), db.origin)
}
