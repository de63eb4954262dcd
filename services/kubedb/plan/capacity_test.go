// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What a zone has left counts for the volumes that only that zone reaches.
func TestCapacityOfZones(t *testing.T) {
	t.Parallel()
	in := func(zones ...string) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{
			Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: zones}},
			}}},
		}}}
	}
	zone := func(name, capacity string) storagev1.CSIStorageCapacity {
		return storagev1.CSIStorageCapacity{
			ObjectMeta: metav1.ObjectMeta{Namespace: "csi", Name: name}, StorageClassName: "fast", Capacity: size(capacity),
			NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{"zone": name}},
		}
	}
	volume := func(claim string, pv *corev1.PersistentVolume) Volume {
		return Volume{Claim: claim, StorageClass: "fast", Grows: true, volume: pv, claim: &corev1.PersistentVolumeClaim{
			Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
			}},
		}}
	}
	s := &survey{namespace: "demo", components: []Component{{To: "12Gi", size: *size("12Gi"), Volumes: []Volume{
		volume("a-0", in("a")), volume("a-1", in("a")), volume("b-0", in("b")), volume("anywhere", in("a", "b")), volume("elsewhere", in("c")),
	}}}}
	published := []storagev1.CSIStorageCapacity{zone("a", "3Gi"), zone("b", "2Gi")}
	findings := s.compare(published)
	require.Len(t, findings, 1)
	require.Equal(t, "StorageClass fast has 3Gi left (CSIStorageCapacity csi/a), and 4Gi more is needed", findings[0].Message)

	published[1].MaximumVolumeSize = size("11Gi")
	findings = s.compare(published)
	require.Len(t, findings, 2)
	require.Contains(t, findings[0].Message, "the storage of claim demo/b-0 makes volumes of at most 11Gi")
}
