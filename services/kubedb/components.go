// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Replicas where the spec names none, as KubeDB's webhook sets them.
const (
	DefaultNodeReplicas       int32 = 1
	DefaultAggregatorReplicas int32 = 3
	DefaultLeafReplicas       int32 = 2
)

// Component is one part of a database that has a workload and volumes of its own.
//
// +k8s:deepcopy-gen=false
type Component struct {
	// Name is ComponentNode, ComponentAggregator or ComponentLeaf.
	Name string
	// Workload is the name of what runs it: see [Client.Workload].
	Workload string
	// Replicas is the number of pods, the default where the spec names none.
	Replicas int32
	// Storage is the claim spec in the database object; nil where there is none, as with ephemeral storage.
	Storage *corev1.PersistentVolumeClaimSpec
	// StoragePath is where Storage is in the database's JSON, e.g. spec, topology, leaf, storage.
	StoragePath []string
	// PodTemplate is the user's customisation of the pods, or nil.
	PodTemplate *PodTemplate
}

// Components lists the parts of the database: the node of a standalone one; aggregators, then leaves of a cluster. A
// part that is missing from a topology, which KubeDB's webhook does not allow, is left out.
func (db *Singlestore) Components() []Component {
	if db == nil {
		return nil
	}
	topology := db.Spec.Topology
	if topology == nil {
		return []Component{{
			Name:        ComponentNode,
			Workload:    PetSetName(db.Name, "", ComponentNode),
			Replicas:    DefaultNodeReplicas,
			Storage:     db.Spec.Storage,
			StoragePath: []string{"spec", "storage"},
			PodTemplate: db.Spec.PodTemplate,
		}}
	}
	var components []Component
	if topology.Aggregator != nil {
		components = append(components, db.component(ComponentAggregator, topology.Aggregator, DefaultAggregatorReplicas))
	}
	if topology.Leaf != nil {
		components = append(components, db.component(ComponentLeaf, topology.Leaf, DefaultLeafReplicas))
	}
	return components
}

func (db *Singlestore) component(name string, node *Node, replicas int32) Component {
	if node.Replicas != nil {
		replicas = *node.Replicas
	}
	return Component{
		Name:        name,
		Workload:    PetSetName(db.Name, node.Suffix, name),
		Replicas:    replicas,
		Storage:     node.Storage,
		StoragePath: []string{"spec", "topology", name, "storage"},
		PodTemplate: node.PodTemplate,
	}
}

// Size is the storage request of the component in the database object; nil where there is none.
func (c Component) Size() *resource.Quantity {
	if c.Storage == nil {
		return nil
	}
	size, ok := c.Storage.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return nil
	}
	return &size
}

// ClassName is the StorageClass of the component in the database object; empty where it names none.
func (c Component) ClassName() string {
	if c.Storage == nil || c.Storage.StorageClassName == nil {
		return ""
	}
	return *c.Storage.StorageClassName
}

// Component returns the part of the database with that name, and whether there is one.
func (db *Singlestore) Component(name string) (Component, bool) {
	for _, component := range db.Components() {
		if component.Name == name {
			return component, true
		}
	}
	return Component{}, false
}

// Size is the size that is asked for a component, or nil.
func (v *VolumeExpansion) Size(component string) *resource.Quantity {
	if v == nil {
		return nil
	}
	switch component {
	case ComponentNode:
		return v.Node
	case ComponentAggregator:
		return v.Aggregator
	case ComponentLeaf:
		return v.Leaf
	default:
		return nil
	}
}
