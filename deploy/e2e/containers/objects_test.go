// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// storage is a claim of the size whose volume can grow while in use.
func storage(size string) *corev1.PersistentVolumeClaimSpec {
	class := "online"
	return &corev1.PersistentVolumeClaimSpec{
		StorageClassName: &class,
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
	}
}

// topology is the database of KubeDB's guide: an aggregator of 1Gi, two leaves
// of 10Gi.
func topology(name string) *kubedb.Singlestore {
	one, two := int32(1), int32(2)
	return &kubedb.Singlestore{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubedb.SinglestoreSpec{
			Version:       "8.7.10",
			StorageType:   kubedb.StorageDurable,
			LicenseSecret: &kubedb.SecretReference{Kind: "Secret", Name: "license"},
			Topology: &kubedb.Topology{
				Aggregator: &kubedb.Node{Replicas: &one, Storage: storage("1Gi")},
				Leaf:       &kubedb.Node{Replicas: &two, Storage: storage("10Gi")},
			},
		},
	}
}

// expansion is an Online request to grow the database's aggregators to 2Gi and
// its leaves to 11Gi. It has the database's name.
func expansion(database string) *kubedb.SinglestoreOpsRequest {
	aggregator, leaf := resource.MustParse("2Gi"), resource.MustParse("11Gi")
	return &kubedb.SinglestoreOpsRequest{
		ObjectMeta: metav1.ObjectMeta{Name: database},
		Spec: kubedb.SinglestoreOpsRequestSpec{
			DatabaseRef:     corev1.LocalObjectReference{Name: database},
			Type:            kubedb.TypeVolumeExpansion,
			VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Aggregator: &aggregator, Leaf: &leaf},
		},
	}
}

// lastLeaf is the claim of a database's last leaf.
func lastLeaf(database string) string { return "data-" + database + "-leaf-1" }

// numbered are names for that many databases.
func numbered(count int) []string {
	names := make([]string, count)
	for n := range names {
		names[n] = fmt.Sprintf("sdb-%d", n)
	}
	return names
}
