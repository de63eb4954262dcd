// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/expander"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// offline makes it an Offline request.
func offline(spec *kubedb.SinglestoreOpsRequestSpec) { spec.VolumeExpansion.Mode = kubedb.ModeOffline }

// guide are the pods of KubeDB's guide, in the order in which they are restarted.
var guide = []string{"sdb-aggregator-0", "sdb-leaf-1", "sdb-leaf-0"}

// offlineOnly makes the storage driver refuse to expand the volumes of the
// guide's database while they are in use.
func (b *bundle) offlineOnly() {
	b.Helper()
	for _, pod := range guide {
		b.fault("data-"+pod, cluster.Fault{OfflineOnly: true})
	}
}

// pods returns the uids of the pods as they are now.
func (b *bundle) pods() map[string]types.UID {
	b.Helper()
	list, err := b.core.CoreV1().Pods(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(b, err)
	uids := map[string]types.UID{}
	for _, pod := range list.Items {
		uids[pod.Name] = pod.UID
		require.NotContains(b, pod.Finalizers, expander.Hold, pod.Name)
		require.NotContains(b, pod.Labels, expander.Hold, pod.Name)
	}
	return uids
}

// restarted requires that each of the pods is another one than before, and every
// other pod the same. That each was restarted once is an invariant.
func (b *bundle) restarted(before map[string]types.UID, names ...string) {
	b.Helper()
	after := b.pods()
	require.Len(b, after, len(before))
	for name, uid := range before {
		if slices.Contains(names, name) {
			require.NotEqual(b, uid, after[name], "pod %s was not restarted", name)
		} else {
			require.Equal(b, uid, after[name], "pod %s was restarted", name)
		}
	}
}

// KubeDB's guide: every volume grows while its pod is down, with a driver that
// refuses anything else.
func TestOfflineTopology(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.offlineOnly()
	before, sets := b.pods(), b.workloads()
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide, offline))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, guideLines, lines(request))
	require.Equal(t, "2Gi", b.capacity("data-sdb-aggregator-0"))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
	b.restarted(before, guide...)
	require.Equal(t, sets, b.workloads(), "the workloads and their revisions")
	require.Equal(t, guide, b.evictions())
	b.resumed("sdb")
	b.ready("sdb")
}

// workloads lists the PetSets with what identifies them and their pods' template.
func (b *bundle) workloads() map[string][]string {
	b.Helper()
	list, err := b.client.PetSets(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(b, err)
	sets := map[string][]string{}
	for _, set := range list.Items {
		sets[set.Name] = []string{string(set.UID), set.Status.CurrentRevision, set.Status.UpdateRevision}
	}
	return sets
}

// evictions lists the pods that the expander evicted, in that order, each once.
func (b *bundle) evictions() []string {
	b.Helper()
	var names []string
	for _, write := range b.audit("expander") {
		if write.Resource == "pods/eviction" && !slices.Contains(names, write.Name) {
			names = append(names, write.Name)
		}
	}
	return names
}

// The driver wants the node's part as well: it comes with the new pod, and
// nothing waits for it before.
func TestOfflineNodeExpansion(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassNode))
	b.offlineOnly()
	before := b.pods()
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide, offline))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	b.restarted(before, guide...)
}

// pod waits until it holds of the pod.
func (b *bundle) pod(name, what string, holds func(*corev1.Pod) bool) *corev1.Pod {
	b.Helper()
	return fixture.Eventually(b.ctx, b, b.core.CoreV1().Pods(b.namespace), name, what, &corev1.Pod{}, holds)
}

// F20: a driver that refuses while the volume is in use. Online fails at once and
// says what to do; doing it helps.
func TestF20_OnlineOnAnOfflineOnlyDriver(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.offlineOnly()
	before := b.pods()
	b.create(fixture.Expansion("online", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	request := b.ended("online")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), ": OfflineOnly: ")
	require.Contains(t, fixture.FailureOf(request), "mode: Offline")
	require.Contains(t, fixture.FailureOf(request), "while it is not in use", "the driver's own words")
	b.restarted(before)
	b.resumed("sdb")

	b.create(fixture.Expansion("offline", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline))
	request = b.ended("offline")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	b.restarted(before, "sdb-leaf-0", "sdb-leaf-1")
}

// F59: a disruption budget that lets no pod go is waited for, which the status
// says, and the pod is not deleted behind its back.
func TestF59_DisruptionBudgetBlocks(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.offlineOnly()
	before := b.pods()
	b.noDisruption("sdb", 3)
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline))

	request := b.waitsFor("grow", "BlockedByPDB")
	require.Contains(t, kubedb.FindCondition(request.Status.Conditions, "Waiting").Message, "sdb-leaf-1 may not be evicted: ")
	require.Equal(t, "10Gi", b.capacity("data-sdb-leaf-1"))
	_, err := b.core.PolicyV1().PodDisruptionBudgets(b.namespace).Patch(b.ctx, "keep", types.MergePatchType, []byte(`{"spec":{"minAvailable":2}}`), metav1.PatchOptions{})
	require.NoError(t, err)

	request = b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Nil(t, kubedb.FindCondition(request.Status.Conditions, "Waiting"))
	b.restarted(before, "sdb-leaf-0", "sdb-leaf-1")
}

// F59, when nobody gives way: the request fails at its deadline and says why, and
// no pod stays held.
func TestF59_DisruptionBudgetNeverGivesWay(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	before := b.pods()
	b.noDisruption("one", 1)
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline, timeout(30*time.Second)))
	b.waitsFor("grow", "BlockedByPDB")

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "expand PetSet "+b.namespace+"/one: BlockedByPDB: ")
	require.Contains(t, fixture.FailureOf(request), "data-one-0 1Gi of 2Gi")
	b.restarted(before)
	b.resumed("one")
}

// noDisruption makes a disruption budget that lets none of the database's pods
// go, and waits until it is in force.
func (b *bundle) noDisruption(database string, pods int32) {
	b.Helper()
	// As many as there are: to know how many may be away, the disruption controller
	// would have to know PetSets, which a young one does not yet.
	all := intstr.FromInt32(pods)
	budgets := b.core.PolicyV1().PodDisruptionBudgets(b.namespace)
	_, err := budgets.Create(b.ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "keep"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: &all, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{kubedb.LabelInstance: database}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	fixture.Eventually(b.ctx, b, budgets, "keep", "its status", &policyv1.PodDisruptionBudget{},
		func(budget *policyv1.PodDisruptionBudget) bool { return budget.Status.ExpectedPods == pods })
}

// waitsFor waits until the request's status says that it waits for that reason.
func (b *bundle) waitsFor(name, reason string) *kubedb.SinglestoreOpsRequest {
	b.Helper()
	return fixture.Eventually(b.ctx, b, b.client.SinglestoreOpsRequests(b.namespace), name, "waiting for "+reason, &kubedb.SinglestoreOpsRequest{},
		func(request *kubedb.SinglestoreOpsRequest) bool {
			waiting := kubedb.FindCondition(request.Status.Conditions, "Waiting")
			return waiting != nil && waiting.Reason == reason
		})
}

// A request that is cancelled while a pod is held gives the pod back, also when
// the expander that held it is dead: the next one does it.
func TestOfflineCancelledInTheMiddleOfAHold(t *testing.T) {
	b := setupOwn(t, stack.Options{Attach: true})
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	before := b.pods()
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline))
	b.pod("sdb-leaf-1", "held and dead", func(pod *corev1.Pod) bool {
		return slices.Contains(pod.Finalizers, expander.Hold) && pod.Status.Phase == corev1.PodSucceeded
	})
	fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-sdb-leaf-1", "its growth to begin", &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			return claim.Spec.Resources.Requests.Storage().String() == "11Gi"
		})
	require.NoError(t, b.stack.KillService("expander"))
	require.NoError(t, b.client.SinglestoreOpsRequests(b.namespace).Delete(b.ctx, "grow", metav1.DeleteOptions{}))
	b.gone("grow")
	b.resumed("sdb")
	require.NoError(t, b.stack.StartService("expander"))

	b.pod("sdb-leaf-1", "a successor that is ready", func(pod *corev1.Pod) bool {
		return pod.UID != before["sdb-leaf-1"] && kubeReady(pod)
	})
	b.restarted(before, "sdb-leaf-1")
	require.Equal(t, "10Gi", b.resumed("sdb").Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
}

// kubeReady reports whether the pod is Ready.
func kubeReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}

// What has the size already is not restarted for it, and the status says so.
func TestOfflineRestartsNothingNeedlessly(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	_, err := b.core.CoreV1().PersistentVolumeClaims(b.namespace).Patch(b.ctx, "data-sdb-leaf-1", types.MergePatchType,
		[]byte(`{"spec":{"resources":{"requests":{"storage":"12Gi"}}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-sdb-leaf-1", "12Gi", &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			return claim.Status.Capacity.Storage().String() == "12Gi"
		})
	before := b.pods()
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Contains(t, kubedb.FindCondition(request.Status.Conditions, "PodsNotRestarted").Message, "sdb-leaf-1")
	b.restarted(before, "sdb-leaf-0")
}
