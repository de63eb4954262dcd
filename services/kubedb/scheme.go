// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// The group versions of the kinds in this package.
var (
	// DatabaseGroupVersion is the one of Singlestore.
	DatabaseGroupVersion = schema.GroupVersion{Group: "kubedb.com", Version: "v1alpha2"}
	// OpsGroupVersion is the one of SinglestoreOpsRequest.
	OpsGroupVersion = schema.GroupVersion{Group: "ops.kubedb.com", Version: "v1alpha1"}
	// AppsGroupVersion is the one of PetSet.
	AppsGroupVersion = schema.GroupVersion{Group: "apps.k8s.appscode.com", Version: "v1"}
)

// The kinds, as in an object's kind field and in an owner reference.
const (
	KindSinglestore           = "Singlestore"
	KindSinglestoreOpsRequest = "SinglestoreOpsRequest"
	KindPetSet                = "PetSet"
	KindStatefulSet           = "StatefulSet"
)

// The resources, as in a URL of the API and in RBAC.
const (
	ResourceSinglestores           = "singlestores"
	ResourceSinglestoreOpsRequests = "singlestoreopsrequests"
	ResourcePetSets                = "petsets"
	ResourceStatefulSets           = "statefulsets"
)

// Scheme knows the kinds of this package and nothing else.
var Scheme = runtime.NewScheme()

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(DatabaseGroupVersion, &Singlestore{}, &SinglestoreList{})
	scheme.AddKnownTypes(OpsGroupVersion, &SinglestoreOpsRequest{}, &SinglestoreOpsRequestList{})
	scheme.AddKnownTypes(AppsGroupVersion, &PetSet{}, &PetSetList{})
	scheme.AddKnownTypes(appsv1.SchemeGroupVersion, &StatefulSet{}, &StatefulSetList{})
	for _, version := range []schema.GroupVersion{DatabaseGroupVersion, OpsGroupVersion, AppsGroupVersion, appsv1.SchemeGroupVersion} {
		metav1.AddToGroupVersion(scheme, version)
	}
	return nil
}

func init() {
	metav1.AddToGroupVersion(Scheme, schema.GroupVersion{Version: "v1"})
	utilruntime.Must(AddToScheme(Scheme))
}
