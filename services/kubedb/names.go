// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"fmt"
	"maps"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation"
)

// The components of a Singlestore, as in the fields of a VolumeExpansion.
const (
	// ComponentNode is the node of a standalone database.
	ComponentNode = "node"
	// ComponentAggregator is the role of the nodes that plan and spread queries.
	ComponentAggregator = "aggregator"
	// ComponentLeaf is the role of the nodes that hold the data.
	ComponentLeaf = "leaf"
)

// Label keys, and the values that are the same for every Singlestore.
const (
	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelComponent = "app.kubernetes.io/component"
	// LabelPetSet tells the components of one database apart: standalone, aggregator or leaf.
	LabelPetSet = "kubedb.com/petset"

	// LabelPodName, LabelPodIndex and LabelRevision are put on the pods of a PetSet, as on those of a StatefulSet.
	LabelPodName  = "statefulset.kubernetes.io/pod-name"
	LabelPodIndex = "apps.kubernetes.io/pod-index"
	LabelRevision = "controller-revision-hash"

	// NameSinglestore is the value of LabelName.
	NameSinglestore = "singlestores.kubedb.com"
	// ManagedByKubeDB is the value of LabelManagedBy.
	ManagedByKubeDB = "kubedb.com"
	// ComponentDatabase is the value of LabelComponent.
	ComponentDatabase = "database"
)

// What a Singlestore's pods and objects are made of.
const (
	// ClaimTemplateData is the claim template of KubeDB's Singlestore. Read it from the workload where there is one.
	ClaimTemplateData = "data"
	// DataPath is where the data volume is mounted.
	DataPath = "/var/lib/memsql"
	// ContainerSinglestore runs the database.
	ContainerSinglestore = "singlestore"
	// ContainerCoordinator forms the cluster; there is none in a standalone database.
	ContainerCoordinator = "singlestore-coordinator"
	// PortDatabase and PortStudio are the ports of the primary Service.
	PortDatabase = 3306
	PortStudio   = 8081
	// RootUser is the user name in the auth Secret.
	RootUser = "root"
	// DatabaseFinalizer is KubeDB's finalizer on a database.
	DatabaseFinalizer = "kubedb.com"
)

// PetSetName is the workload of a component: the database's name, and in a cluster a suffix, if any, and the role.
func PetSetName(database, suffix, component string) string {
	if component == ComponentNode {
		return database
	}
	if suffix != "" {
		database += "-" + suffix
	}
	return database + "-" + component
}

// CheckName returns why no object can have the name, in a bounded number of words, or nil. A name that somebody wrote into
// a spec is checked before it is asked for: in a URL "..", "a/b" and "a%b" mean something else.
func CheckName(name string) error {
	problems := validation.IsDNS1123Subdomain(name)
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("no object can be called %.64q: %s", name, problems[0])
}

// PodName is the pod of a workload with that ordinal.
func PodName(workload string, ordinal int) string {
	return workload + "-" + strconv.Itoa(ordinal)
}

// ClaimName is the claim that a workload makes from a claim template for the pod with that ordinal.
func ClaimName(template, workload string, ordinal int) string {
	return template + "-" + PodName(workload, ordinal)
}

// ServiceName is the primary Service: the address of the database.
func (db *Singlestore) ServiceName() string { return db.Name }

// GoverningServiceName is the headless Service that gives each pod its name in DNS.
func (db *Singlestore) GoverningServiceName() string { return db.Name + "-pods" }

// ServiceAccountName is the account of the pods.
func (db *Singlestore) ServiceAccountName() string { return db.Name }

// AuthSecretName is the Secret with the root user's credentials: the one the spec names, or <name>-auth.
func (db *Singlestore) AuthSecretName() string {
	if db.Spec.AuthSecret != nil && db.Spec.AuthSecret.Name != "" {
		return db.Spec.AuthSecret.Name
	}
	return db.Name + "-auth"
}

// Selectors are the labels that everything of this database carries, and by which its pods are selected.
func (db *Singlestore) Selectors() map[string]string {
	return map[string]string{
		LabelName:      NameSinglestore,
		LabelInstance:  db.Name,
		LabelManagedBy: ManagedByKubeDB,
	}
}

// ComponentSelectors select the pods of one component.
func (db *Singlestore) ComponentSelectors(component string) map[string]string {
	labels := db.Selectors()
	labels[LabelPetSet] = component
	if component == ComponentNode {
		labels[LabelPetSet] = "standalone"
	}
	return labels
}

// OffshootLabels are the labels of the objects made for this database: its selectors and what they are.
func (db *Singlestore) OffshootLabels() map[string]string {
	return withComponentLabel(db.Selectors())
}

// ComponentLabels are the labels of the objects made for one component of this database.
func (db *Singlestore) ComponentLabels(component string) map[string]string {
	return withComponentLabel(db.ComponentSelectors(component))
}

func withComponentLabel(labels map[string]string) map[string]string {
	result := maps.Clone(labels)
	result[LabelComponent] = ComponentDatabase
	return result
}
