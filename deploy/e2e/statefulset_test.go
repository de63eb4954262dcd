// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/updater"
)

// createOnStatefulSets creates the database with StatefulSets, and waits until all
// their pods are Ready. The provisioner makes no PetSets for a halted one.
func (b *bundle) createOnStatefulSets(db *kubedb.Singlestore, changes ...func(*appsv1.StatefulSet)) {
	b.Helper()
	db.Spec.Halted = true
	db, err := b.client.Singlestores(b.namespace).Create(b.ctx, db, metav1.CreateOptions{})
	require.NoError(b, err)
	for _, component := range db.Components() {
		set := stack.StatefulSet(db, component)
		for _, change := range changes {
			change(set)
		}
		_, err := b.core.AppsV1().StatefulSets(b.namespace).Create(b.ctx, set, metav1.CreateOptions{})
		require.NoError(b, err)
	}
	for _, component := range db.Components() {
		b.statefulSet(component.Workload, "all pods Ready", func(set *appsv1.StatefulSet) bool {
			return set.Status.ReadyReplicas == component.Replicas && set.Status.ObservedGeneration == set.Generation
		})
	}
}

// statefulSet waits until it holds of the StatefulSet.
func (b *bundle) statefulSet(name, what string, holds func(*appsv1.StatefulSet) bool) *appsv1.StatefulSet {
	b.Helper()
	return fixture.Eventually(b.ctx, b, b.core.AppsV1().StatefulSets(b.namespace), name, what, &appsv1.StatefulSet{}, holds)
}

// recreated waits until another StatefulSet has taken the place of the given one,
// and requires that it is as that was but for the size, and owns the same pods.
func (b *bundle) recreated(before *appsv1.StatefulSet, size string) *appsv1.StatefulSet {
	b.Helper()
	after := b.statefulSet(before.Name, "a successor that its controller knows", func(set *appsv1.StatefulSet) bool {
		return set.UID != before.UID && set.Labels[updater.Recreate] == "" && set.Status.ObservedGeneration == set.Generation && set.Status.UpdateRevision != "" &&
			set.Status.Replicas == before.Status.Replicas
	})
	want := before.DeepCopy()
	require.Equal(b, size, after.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	want.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests = after.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests
	require.Equal(b, want.Spec, after.Spec)
	require.Equal(b, want.Labels, after.Labels)
	require.Equal(b, want.Annotations, after.Annotations)
	require.Equal(b, want.OwnerReferences, after.OwnerReferences)
	require.Equal(b, want.Finalizers, after.Finalizers)
	require.Equal(b, before.Status.UpdateRevision, after.Status.UpdateRevision)
	require.Equal(b, before.Status.CurrentRevision, after.Status.CurrentRevision)
	b.requireManagedFields(before, after)
	pods, err := b.core.CoreV1().Pods(b.namespace).List(b.ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(after.Spec.Selector)})
	require.NoError(b, err)
	for _, pod := range pods.Items {
		require.Equal(b, after.UID, metav1.GetControllerOf(&pod).UID, pod.Name)
	}
	return after
}

// noIntent waits until no StatefulSet of that name is to be recreated.
func (b *bundle) noIntent(name string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	intents := kubedb.NewInformer(b.core.AppsV1().ControllerRevisions(b.namespace), &appsv1.ControllerRevision{})
	require.NoError(b, kubedb.Until(ctx, intents, func(store cache.Store) bool {
		_, exists, err := store.GetByKey(b.namespace + "/" + updater.IntentName(name))
		return err == nil && !exists
	}), "the intent to recreate StatefulSet %s stays", name)
}

// requireManagedFields requires that the fields of a StatefulSet belong to whom
// they belonged.
func (b *bundle) requireManagedFields(before, after *appsv1.StatefulSet) {
	b.Helper()
	fields := func(set *appsv1.StatefulSet) (lines []string) {
		for _, entry := range set.ManagedFields {
			if entry.Subresource != "status" {
				lines = append(lines, fmt.Sprintf("%s %s %s %q %s %s", entry.Manager, entry.Operation, entry.APIVersion, entry.Subresource, entry.Time.UTC(), entry.FieldsV1.GetRawString()))
			}
		}
		slices.Sort(lines)
		return lines
	}
	require.Equal(b, fields(before), fields(after))
}

// F40: a StatefulSet is recreated as it was but for the sizes, and its pods are
// the same, with their revision. F38: twice, one right after the other.
func TestF38_F40_StatefulSetIsRecreated(t *testing.T) {
	b := setup(t)
	b.createOnStatefulSets(fixture.Topology("sdb", fixture.ClassOnline), func(set *appsv1.StatefulSet) {
		set.Annotations = map[string]string{"example.com/kept": "yes"}
		set.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
	})
	pods := b.pods()
	all := func(*appsv1.StatefulSet) bool { return true }
	aggregator, leaf := b.statefulSet("sdb-aggregator", "there", all), b.statefulSet("sdb-leaf", "there", all)
	for i := range 2 {
		name := fmt.Sprintf("grow-%d", i)
		b.create(fixture.Expansion(name, "sdb", fixture.Sizes{Aggregator: fmt.Sprintf("%dGi", 2+i), Leaf: fmt.Sprintf("%dGi", 11+i)}, always))
		request := b.ended(name)
		require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
		aggregator = b.recreated(aggregator, fmt.Sprintf("%dGi", 2+i))
		leaf = b.recreated(leaf, fmt.Sprintf("%dGi", 11+i))
		b.restarted(pods)
		b.noIntent("sdb-aggregator")
		b.noIntent("sdb-leaf")
	}
	db := b.resumed("sdb")
	require.Equal(t, "3Gi", db.Spec.Topology.Aggregator.Storage.Resources.Requests.Storage().String())
	require.Equal(t, "12Gi", db.Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
}

// F39: the claims of a StatefulSet would go with it: they stay, and its successor
// has that policy again.
func TestF39_ClaimsOutliveTheStatefulSet(t *testing.T) {
	b := setup(t)
	policy := &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
	}
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline), func(set *appsv1.StatefulSet) { set.Spec.PersistentVolumeClaimRetentionPolicy = policy })
	claims := b.core.CoreV1().PersistentVolumeClaims(b.namespace)
	owned := func(claim *corev1.PersistentVolumeClaim) bool { return len(claim.OwnerReferences) == 1 }
	claim := fixture.Eventually(b.ctx, b, claims, "data-one-0", "owned", &corev1.PersistentVolumeClaim{}, owned)
	before := b.statefulSet("one", "there", func(*appsv1.StatefulSet) bool { return true })
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	after := b.recreated(before, "2Gi")
	require.Equal(t, policy, after.Spec.PersistentVolumeClaimRetentionPolicy)
	is := fixture.Eventually(b.ctx, b, claims, "data-one-0", "owned by the successor", &corev1.PersistentVolumeClaim{}, func(claim *corev1.PersistentVolumeClaim) bool {
		return owned(claim) && claim.OwnerReferences[0].UID == after.UID
	})
	require.Equal(t, claim.UID, is.UID)
}

// F35: a user deletes the workload under way: nobody recreates it, and the
// request says so.
func TestF35_StatefulSetDeletedByAUser(t *testing.T) {
	b := setup(t)
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline))
	b.fault("data-one-0", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
	fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-one-0", "its growth to begin", &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			return claim.Spec.Resources.Requests.Storage().String() == "2Gi"
		})
	b.checker.Excuse("one")
	orphan := metav1.DeletePropagationOrphan
	require.NoError(t, b.core.AppsV1().StatefulSets(b.namespace).Delete(b.ctx, "one", metav1.DeleteOptions{PropagationPolicy: &orphan}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "expand Workload "+b.namespace+"/one: WorkloadGone: ")
	b.noIntent("one")
	b.resumed("one")
	sets, err := b.core.AppsV1().StatefulSets(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, sets.Items)
}

// F33, on a StatefulSet: the volume of a pod that comes meanwhile grows, too, and
// the successor has as many pods.
func TestF33_StatefulSetIsScaledOut(t *testing.T) {
	b := setup(t)
	b.createOnStatefulSets(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, always))
	b.capacityBecomes("data-sdb-leaf-0", "11Gi")
	_, err := b.core.AppsV1().StatefulSets(b.namespace).Patch(b.ctx, "sdb-leaf", types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	b.capacityBecomes("data-sdb-leaf-2", "11Gi")
	b.mend("data-sdb-leaf-1")

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.EqualValues(t, 3, *b.statefulSet("sdb-leaf", "there", func(*appsv1.StatefulSet) bool { return true }).Spec.Replicas)
}

// Offline on the API's own controller: each pod is restarted once, however the
// controller updates and starts pods.
func TestOfflineOnStatefulSets(t *testing.T) {
	for _, strategy := range []appsv1.StatefulSetUpdateStrategyType{appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType} {
		for _, management := range []appsv1.PodManagementPolicyType{appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement} {
			t.Run(fmt.Sprintf("%s %s", strategy, management), func(t *testing.T) {
				b := setup(t)
				b.createOnStatefulSets(fixture.Topology("sdb", fixture.ClassOnline), func(set *appsv1.StatefulSet) {
					set.Spec.UpdateStrategy.Type, set.Spec.PodManagementPolicy = strategy, management
				})
				b.offlineOnly()
				pods := b.pods()
				leaf := b.statefulSet("sdb-leaf", "there", func(*appsv1.StatefulSet) bool { return true })
				b.create(fixture.Expansion("grow", "sdb", fixture.Guide, offline, always))

				request := b.ended("grow")
				require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
				require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
				require.Equal(t, guide, b.evictions())
				b.restarted(pods, guide...)
				b.recreated(leaf, "11Gi")
				b.restarted(pods, guide...)
			})
		}
	}
}
