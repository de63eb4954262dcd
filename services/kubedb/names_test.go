// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "sdb", PetSetName("sdb", "ignored", ComponentNode))
	require.Equal(t, "sdb-leaf", PetSetName("sdb", "", ComponentLeaf))
	require.Equal(t, "sdb-x-aggregator", PetSetName("sdb", "x", ComponentAggregator))
	require.Equal(t, "sdb-leaf-10", PodName("sdb-leaf", 10))
	require.Equal(t, "data-sdb-leaf-0", ClaimName("data", "sdb-leaf", 0))

	db := &Singlestore{ObjectMeta: metav1.ObjectMeta{Name: "sdb"}}
	require.Equal(t, "sdb", db.ServiceName())
	require.Equal(t, "sdb-pods", db.GoverningServiceName())
	require.Equal(t, "sdb-auth", db.AuthSecretName())
	db.Spec.AuthSecret = &SecretReference{Name: "mine"}
	require.Equal(t, "mine", db.AuthSecretName())
}

func TestLabels(t *testing.T) {
	t.Parallel()
	db := &Singlestore{ObjectMeta: metav1.ObjectMeta{Name: "sdb"}}
	selectors := map[string]string{
		"app.kubernetes.io/name": "singlestores.kubedb.com", "app.kubernetes.io/instance": "sdb",
		"app.kubernetes.io/managed-by": "kubedb.com",
	}
	require.Equal(t, selectors, db.Selectors())
	selectors["kubedb.com/petset"] = "standalone"
	require.Equal(t, selectors, db.ComponentSelectors(ComponentNode))
	selectors["kubedb.com/petset"] = "leaf"
	require.Equal(t, selectors, db.ComponentSelectors(ComponentLeaf))
	selectors["app.kubernetes.io/component"] = "database"
	require.Equal(t, selectors, db.ComponentLabels(ComponentLeaf))
	delete(selectors, "kubedb.com/petset")
	require.Equal(t, selectors, db.OffshootLabels())
}

func TestComponents(t *testing.T) {
	t.Parallel()
	claim := &corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
	}}
	one := int32(1)
	named := func(spec SinglestoreSpec) *Singlestore {
		return &Singlestore{ObjectMeta: metav1.ObjectMeta{Name: "sdb"}, Spec: spec}
	}
	tests := []struct {
		name string
		db   *Singlestore
		want []Component
	}{
		{"nil", nil, nil},
		{"standalone", named(SinglestoreSpec{Storage: claim}), []Component{
			{Name: "node", Workload: "sdb", Replicas: 1, Storage: claim, StoragePath: []string{"spec", "storage"}},
		}},
		{"standalone without storage", named(SinglestoreSpec{}), []Component{
			{Name: "node", Workload: "sdb", Replicas: 1, StoragePath: []string{"spec", "storage"}},
		}},
		{"topology", named(SinglestoreSpec{Topology: &Topology{
			Leaf: &Node{Storage: claim}, Aggregator: &Node{Replicas: &one, Suffix: "x"},
		}}), []Component{
			{Name: "aggregator", Workload: "sdb-x-aggregator", Replicas: 1, StoragePath: []string{"spec", "topology", "aggregator", "storage"}},
			{Name: "leaf", Workload: "sdb-leaf", Replicas: 2, Storage: claim, StoragePath: []string{"spec", "topology", "leaf", "storage"}},
		}},
		{"half a topology", named(SinglestoreSpec{Topology: &Topology{Aggregator: &Node{}}}), []Component{
			{Name: "aggregator", Workload: "sdb-aggregator", Replicas: 3, StoragePath: []string{"spec", "topology", "aggregator", "storage"}},
		}},
		{"empty topology", named(SinglestoreSpec{Topology: &Topology{}}), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, test.db.Components())
			for _, want := range test.want {
				got, ok := test.db.Component(want.Name)
				require.True(t, ok)
				require.Equal(t, want, got)
				if want.Storage == nil {
					require.Nil(t, got.Size())
				} else {
					require.Equal(t, "1Gi", got.Size().String())
				}
			}
			_, ok := test.db.Component("other")
			require.False(t, ok)
		})
	}
}

func TestSizeOfExpansion(t *testing.T) {
	t.Parallel()
	node, aggregator, leaf := resource.MustParse("1"), resource.MustParse("2"), resource.MustParse("3")
	expansion := &VolumeExpansion{Node: &node, Aggregator: &aggregator, Leaf: &leaf}
	require.Equal(t, &node, expansion.Size(ComponentNode))
	require.Equal(t, &aggregator, expansion.Size(ComponentAggregator))
	require.Equal(t, &leaf, expansion.Size(ComponentLeaf))
	require.Nil(t, expansion.Size("other"))
	require.Nil(t, (*VolumeExpansion)(nil).Size(ComponentLeaf))
	require.Nil(t, (&VolumeExpansion{}).Size(ComponentLeaf))
}
