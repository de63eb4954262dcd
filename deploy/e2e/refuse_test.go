// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// A request that cannot work gets a terminal status that says why, or is refused
// by the API server at once where its definition holds the rule; and nothing
// else changes.
func TestF27_F28_Refused(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("cluster", fixture.ClassOnline))
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	b.createDatabase(fixture.Topology("fixed", fixture.ClassFixed))
	ephemeral := fixture.Standalone("ephemeral", fixture.ClassOnline)
	ephemeral.Spec.StorageType, ephemeral.Spec.Storage = kubedb.StorageEphemeral, nil
	_, err := b.client.Singlestores(b.namespace).Create(b.ctx, ephemeral, metav1.CreateOptions{})
	require.NoError(t, err)

	cases := []struct {
		name, database string
		sizes          fixture.Sizes
		change         func(*kubedb.SinglestoreOpsRequestSpec)
		says           string
	}{
		{"unknown-database", "nobody", fixture.Sizes{Leaf: "11Gi"}, nil, "is invalid or not found"},
		{"no-database", "", fixture.Sizes{Leaf: "11Gi"}, nil, "is invalid or not found"},
		{"shrink", "cluster", fixture.Sizes{Leaf: "9Gi"}, nil, "must be greater than current storage. Current storage: 10Gi"},
		{"equal", "cluster", fixture.Sizes{Leaf: "10Gi"}, nil, "must be greater than current storage. Current storage: 10Gi"},
		{"equal-in-other-units", "cluster", fixture.Sizes{Leaf: "10240Mi"}, nil, "must be greater than current storage"},
		{"one-of-two-shrinks", "cluster", fixture.Sizes{Aggregator: "2Gi", Leaf: "9Gi"}, nil, "desired leaf storage size must be greater"},
		{"zero", "cluster", fixture.Sizes{Leaf: "0"}, nil, "greater than zero"},
		{"negative", "cluster", fixture.Sizes{Leaf: "-11Gi"}, nil, "greater than zero"},
		{"aggregator-of-standalone", "one", fixture.Sizes{Aggregator: "2Gi"}, nil, "node can not be empty as reference database mode is standalone"},
		{"node-of-cluster", "cluster", fixture.Sizes{Node: "20Gi"}, nil, "can not be empty as reference database mode is clustering"},
		{"node-and-leaf", "cluster", fixture.Sizes{Node: "20Gi", Leaf: "11Gi"}, nil, "cannot both be set"},
		{"no-sizes", "cluster", fixture.Sizes{}, nil, "can not be empty as reference database mode is clustering"},
		{"no-volume-expansion", "cluster", fixture.Sizes{}, func(s *kubedb.SinglestoreOpsRequestSpec) { s.VolumeExpansion = nil }, "volumeExpansion"},
		{"restart", "cluster", fixture.Sizes{}, func(s *kubedb.SinglestoreOpsRequestSpec) {
			s.Type, s.VolumeExpansion = kubedb.TypeRestart, nil
		}, "requests of type VolumeExpansion only"},
		{"negative-timeout", "cluster", fixture.Sizes{Leaf: "11Gi"}, timeout(-time.Second), "timeout must be greater than zero"},
		{"class-does-not-grow", "fixed", fixture.Sizes{Leaf: "11Gi"}, nil, "StorageClass fixed of claim"},
		{"ephemeral", "ephemeral", fixture.Sizes{Node: "2Gi"}, nil, "Ephemeral"},
	}
	before := b.versions()
	for _, c := range cases {
		request := fixture.Expansion(c.name, c.database, c.sizes)
		if c.change != nil {
			c.change(&request.Spec)
		}
		_, err := b.client.SinglestoreOpsRequests(b.namespace).Create(b.ctx, request, metav1.CreateOptions{})
		if isRefused(err) {
			t.Logf("%s: the API server refuses it: %v", c.name, err)
			continue
		}
		require.NoError(t, err, c.name)
		ended := b.ended(c.name)
		require.Equal(t, kubedb.OpsFailed, ended.Status.Phase, c.name)
		require.Contains(t, fixture.FailureOf(ended), c.says, c.name)
		require.Empty(t, ended.Finalizers, c.name)
		require.Len(t, ended.Status.Conditions, 1, c.name)
	}
	require.Equal(t, before, b.versions(), "nothing but the requests was changed")
}

// versions lists databases, workloads and claims with their specs' generation or
// version, and whether a database was ever paused.
func (b *bundle) versions() map[string]string {
	b.Helper()
	versions := map[string]string{}
	databases, err := b.client.Singlestores(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(b, err)
	for _, db := range databases.Items {
		if db.Spec.StorageType != kubedb.StorageEphemeral { // it is still being provisioned
			versions["database "+db.Name] = db.ResourceVersion
		}
	}
	sets, err := b.client.PetSets(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(b, err)
	for _, set := range sets.Items {
		if set.Name != "ephemeral" {
			versions["workload "+set.Name] = set.ResourceVersion
		}
	}
	var claims *corev1.PersistentVolumeClaimList
	claims, err = b.core.CoreV1().PersistentVolumeClaims(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(b, err)
	for _, claim := range claims.Items {
		versions["claim "+claim.Name] = claim.ResourceVersion
	}
	return versions
}

// The spec of a request cannot be changed. KubeDB's own definition leaves that
// to its webhook, which is not there.
func TestSpecIsImmutable(t *testing.T) {
	b := setup(t)
	if realCRDs() {
		return
	}
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	b.ended("grow")
	_, err := b.client.SinglestoreOpsRequests(b.namespace).Patch(b.ctx, "grow", types.MergePatchType,
		[]byte(`{"spec":{"volumeExpansion":{"leaf":"12Gi"}}}`), metav1.PatchOptions{})
	require.True(t, isRefused(err), "%v", err)
	require.ErrorContains(t, err, "immutable")
}
