// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// The StorageClasses of the development cluster.
const (
	classOnline = "online"
	classNode   = "node-expansion"
	classFixed  = "fixed"
)

// storage is a claim of the size and class.
func storage(class, size string) *corev1.PersistentVolumeClaimSpec {
	return &corev1.PersistentVolumeClaimSpec{
		StorageClassName: &class,
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
	}
}

// topology is the database of KubeDB's guide: an aggregator of 1Gi, two leaves
// of 10Gi.
func topology(name, class string) *kubedb.Singlestore {
	one, two := int32(1), int32(2)
	return &kubedb.Singlestore{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubedb.SinglestoreSpec{
			Version:       "8.7.10",
			StorageType:   kubedb.StorageDurable,
			LicenseSecret: &kubedb.SecretReference{Kind: "Secret", Name: "license"},
			Topology: &kubedb.Topology{
				Aggregator: &kubedb.Node{Replicas: &one, Storage: storage(class, "1Gi")},
				Leaf:       &kubedb.Node{Replicas: &two, Storage: storage(class, "10Gi")},
			},
		},
	}
}

// standalone is a database of one node of 1Gi.
func standalone(name, class string) *kubedb.Singlestore {
	return &kubedb.Singlestore{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubedb.SinglestoreSpec{
			Version:       "8.7.10",
			StorageType:   kubedb.StorageDurable,
			LicenseSecret: &kubedb.SecretReference{Kind: "Secret", Name: "license"},
			Storage:       storage(class, "1Gi"),
		},
	}
}

// sizes are the requested sizes; an empty one is not asked for.
type sizes struct{ node, aggregator, leaf string }

// expansion is an Online request for the database.
func expansion(name, database string, to sizes, changes ...func(*kubedb.SinglestoreOpsRequestSpec)) *kubedb.SinglestoreOpsRequest {
	request := &kubedb.SinglestoreOpsRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubedb.SinglestoreOpsRequestSpec{
			DatabaseRef: corev1.LocalObjectReference{Name: database},
			Type:        kubedb.TypeVolumeExpansion,
			VolumeExpansion: &kubedb.VolumeExpansion{
				Mode: kubedb.ModeOnline, Node: quantity(to.node), Aggregator: quantity(to.aggregator), Leaf: quantity(to.leaf),
			},
		},
	}
	for _, change := range changes {
		change(&request.Spec)
	}
	return request
}

// recovering is the request with the policy to recover from a size that the
// storage cannot give.
func recovering(request *kubedb.SinglestoreOpsRequest) *kubedb.SinglestoreOpsRequest {
	metav1.SetMetaDataAnnotation(&request.ObjectMeta, kubedb.AnnotationInfeasible, kubedb.InfeasibleRecover)
	return request
}

// always makes the request not wait until its database is Ready.
func always(spec *kubedb.SinglestoreOpsRequestSpec) { spec.Apply = kubedb.ApplyAlways }

// timeout sets how long a step may take.
func timeout(d time.Duration) func(*kubedb.SinglestoreOpsRequestSpec) {
	return func(spec *kubedb.SinglestoreOpsRequestSpec) { spec.Timeout = &metav1.Duration{Duration: d} }
}

func quantity(size string) *resource.Quantity {
	if size == "" {
		return nil
	}
	q := resource.MustParse(size)
	return &q
}
