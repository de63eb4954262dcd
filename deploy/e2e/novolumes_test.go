// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/expander"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// createOnPetSet creates a standalone database that is halted, so that nobody makes
// its PetSet, and a PetSet for it.
func (b *bundle) createOnPetSet(change func(*kubedb.PetSetSpec)) {
	b.Helper()
	db := fixture.Standalone("one", fixture.ClassOnline)
	db.Spec.Halted = true
	db, err := b.client.Singlestores(b.namespace).Create(b.ctx, db, metav1.CreateOptions{})
	require.NoError(b, err)
	like := stack.StatefulSet(db, db.Components()[0])
	set := &kubedb.PetSet{ObjectMeta: like.ObjectMeta, Spec: kubedb.PetSetSpec{
		Replicas: like.Spec.Replicas, Selector: like.Spec.Selector, ServiceName: like.Spec.ServiceName, Template: like.Spec.Template,
		VolumeClaimTemplates: like.Spec.VolumeClaimTemplates,
	}}
	change(&set.Spec)
	_, err = b.client.PetSets(b.namespace).Create(b.ctx, set, metav1.CreateOptions{})
	require.NoError(b, err)
}

// Nothing grows where there is no volume, and nobody says that it did: the request
// is rejected by name.
func TestC12_NoVolumeToGrow(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*kubedb.PetSetSpec)
		words  string
	}{
		"in other clusters":  {func(spec *kubedb.PetSetSpec) { spec.Distributed = true }, "is distributed"},
		"no claim templates": {func(spec *kubedb.PetSetSpec) { spec.VolumeClaimTemplates = nil }, "has no claim templates"},
		"no replicas":        {func(spec *kubedb.PetSetSpec) { *spec.Replicas = 0 }, "has 0 replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.createOnPetSet(c.change)
			b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
			request := b.ended("grow")
			require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
			require.Len(t, request.Status.Conditions, 1, "nothing was begun")
			require.Contains(t, fixture.FailureOf(request), ": "+plan.ReasonNoVolumes+": ")
			require.Contains(t, fixture.FailureOf(request), "PetSet "+b.namespace+"/one "+c.words)
		})
	}
}

// Claims that are not made yet are waited for.
func TestC12_ClaimsThatAreNotMadeYet(t *testing.T) {
	b := setup(t)
	b.quota("none", corev1.ResourcePersistentVolumeClaims, "0")
	b.createOnPetSet(func(*kubedb.PetSetSpec) {})
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
	waiting := b.condition("grow", kubedb.ConditionWaiting)
	require.Equal(t, kubedb.OpsPending, waiting.Status.Phase)
	require.Equal(t, plan.ReasonClaimMissing, kubedb.FindCondition(waiting.Status.Conditions, kubedb.ConditionWaiting).Reason)

	require.NoError(t, b.core.CoreV1().ResourceQuotas(b.namespace).Delete(b.ctx, "none", metav1.DeleteOptions{}))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "2Gi", b.capacity("data-one-0"))
}

// A workload that loses its volumes under way has not grown.
func TestC12_TheVolumesGoUnderWay(t *testing.T) {
	for name, c := range map[string]struct{ patch, words string }{
		"scaled in":         {`{"spec":{"replicas":0}}`, "has 0 replicas"},
		"to other clusters": {`{"spec":{"distributed":true}}`, "is distributed"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			b := setup(t)
			b.createOnPetSet(func(*kubedb.PetSetSpec) {})
			b.checker.Excuse("one-0") // scaled in
			fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-one-0", "to be Bound", &corev1.PersistentVolumeClaim{},
				func(claim *corev1.PersistentVolumeClaim) bool { return claim.Status.Phase == corev1.ClaimBound })
			b.fault("data-one-0", cluster.Fault{Never: true})
			b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
			fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-one-0", "its growth to begin", &corev1.PersistentVolumeClaim{},
				func(claim *corev1.PersistentVolumeClaim) bool {
					return claim.Spec.Resources.Requests.Storage().String() == "2Gi"
				})
			_, err := b.client.PetSets(b.namespace).Patch(b.ctx, "one", types.MergePatchType, []byte(c.patch), metav1.PatchOptions{})
			require.NoError(t, err)
			request := b.ended("grow")
			require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
			require.Contains(t, fixture.FailureOf(request), "expand Workload "+b.namespace+"/one: "+expander.ReasonNoVolumes+": ")
			require.Contains(t, fixture.FailureOf(request), c.words)
			b.resumed("one")
		})
	}
}
