// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
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
	"github.com/opsrelay/opsrelay/updater"
)

// The leaves of database sdb run in PetSet sdb-leaf, and so would a standalone
// database of that name: it gets nothing of the other's, from nobody.
func TestC09_ADatabaseWithTheNameOfAnothersWorkload(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	pods, sets := b.pods(), b.workloads()
	_, err := b.client.Singlestores(b.namespace).Create(b.ctx, fixture.Standalone("sdb-leaf", fixture.ClassOnline), metav1.CreateOptions{})
	require.NoError(t, err)
	fixture.Eventually(b.ctx, b, b.client.Singlestores(b.namespace), "sdb-leaf", "its provisioning to be refused", &kubedb.Singlestore{},
		func(db *kubedb.Singlestore) bool {
			condition := kubedb.FindCondition(db.Status.Conditions, kubedb.ConditionReplicaReady)
			return condition != nil && strings.Contains(condition.Message, "Desire number of PetSet: 1, Available: 0")
		})
	require.Equal(t, sets, b.workloads(), "the provisioner has changed somebody else's PetSet")
	b.restarted(pods)

	b.rejected(fixture.Expansion("grow", "sdb-leaf", fixture.Sizes{Node: "20Gi"}, always), plan.ReasonWorkloadNotOwned)
	require.Equal(t, "10Gi", b.capacity("data-sdb-leaf-0"))
	b.create(fixture.Expansion("own", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	request := b.ended("own")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	b.restarted(pods)
}

// give makes another database the controller of the workload, as a hand that moves
// it does. That database is halted: nobody makes anything for it.
func (b *bundle) give(resource, workload string) {
	b.Helper()
	db := fixture.Standalone("other", fixture.ClassOnline)
	db.Spec.Halted = true
	db, err := b.client.Singlestores(b.namespace).Create(b.ctx, db, metav1.CreateOptions{})
	require.NoError(b, err)
	owners, err := json.Marshal([]metav1.OwnerReference{*metav1.NewControllerRef(db, kubedb.DatabaseGroupVersion.WithKind(kubedb.KindSinglestore))})
	require.NoError(b, err)
	patch := fmt.Appendf(nil, `{"metadata":{"ownerReferences":%s}}`, owners)
	if resource == kubedb.ResourcePetSets {
		_, err = b.client.PetSets(b.namespace).Patch(b.ctx, workload, types.MergePatchType, patch, metav1.PatchOptions{})
	} else {
		_, err = b.core.AppsV1().StatefulSets(b.namespace).Patch(b.ctx, workload, types.MergePatchType, patch, metav1.PatchOptions{})
	}
	require.NoError(b, err)
}

// A workload that changes hands while its volumes grow is left alone from then on.
func TestC09_TheWorkloadChangesHandsUnderWay(t *testing.T) {
	for _, resource := range []string{kubedb.ResourcePetSets, kubedb.ResourceStatefulSets} {
		t.Run(resource, func(t *testing.T) {
			b := setup(t)
			if resource == kubedb.ResourcePetSets {
				b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
			} else {
				b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline))
			}
			b.fault("data-one-0", cluster.Fault{Never: true})
			b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
			fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-one-0", "its growth to begin", &corev1.PersistentVolumeClaim{},
				func(claim *corev1.PersistentVolumeClaim) bool {
					return claim.Spec.Resources.Requests.Storage().String() == "2Gi"
				})
			b.give(resource, "one")
			request := b.ended("grow")
			require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
			require.Contains(t, fixture.FailureOf(request), "expand Workload "+b.namespace+"/one: "+expander.ReasonWorkloadNotOwned+": ")
			require.Contains(t, fixture.FailureOf(request), "belongs to Singlestore other")
			require.Equal(t, "1Gi", b.resumed("one").Spec.Storage.Resources.Requests.Storage().String())
		})
	}
}

// A claim of the right name that was made for somebody else is left alone, until
// somebody says that it is the workload's.
func TestC09_AClaimOfSomebodyElse(t *testing.T) {
	b := setup(t)
	class := fixture.ClassOnline
	claims := b.core.CoreV1().PersistentVolumeClaims(b.namespace)
	_, err := claims.Create(b.ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data-one-0", Labels: map[string]string{"app": "loki"}},
		Spec:       *fixture.Storage(class, "1Gi"),
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	db := b.createDatabase(fixture.Standalone("one", class))
	request := fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"})
	b.rejected(request, plan.ReasonClaimNotOwned)
	require.Equal(t, "1Gi", b.capacity("data-one-0"))

	labels, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": db.ComponentSelectors(kubedb.ComponentNode)}})
	require.NoError(t, err)
	_, err = claims.Patch(b.ctx, "data-one-0", types.MergePatchType, labels, metav1.PatchOptions{})
	require.NoError(t, err)
	request.Name = "again"
	b.create(request)
	ended := b.ended("again")
	require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
}

// The updater looks again, too: who owns the workload when the volumes have grown
// decides whether its template is written.
func TestC09_TheUpdaterLooksWhoseTheWorkloadIs(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	require.NoError(t, b.stack.StopService("updater"))
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
	b.capacityBecomes("data-one-0", "2Gi")
	b.give(kubedb.ResourcePetSets, "one")
	require.NoError(t, b.stack.StartService("updater"))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "PetSet "+b.namespace+"/one")
	require.Contains(t, fixture.FailureOf(request), updater.ReasonWorkloadNotOwned)
	set, err := b.client.PetSets(b.namespace).Get(b.ctx, "one", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "1Gi", set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	b.resumed("one")
}
