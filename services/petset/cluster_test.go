// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster/clustertest"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

func newSet(replicas int32) *kubedb.PetSet {
	labels := map[string]string{"app": "db"}
	return &kubedb.PetSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec: kubedb.PetSetSpec{
			Replicas:    &replicas,
			ServiceName: "db-pods",
			Selector:    &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "image:1"}}},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"from": "template"}},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
						corev1.ResourceStorage: resource.MustParse("1Gi"),
					}},
				},
			}},
		},
	}
}

func (b *bundle) create(t *testing.T, set *kubedb.PetSet) *kubedb.PetSet {
	t.Helper()
	created, err := b.KubeDB.PetSets(b.Namespace).Create(t.Context(), set, metav1.CreateOptions{})
	require.NoError(t, err)
	return created
}

func (b *bundle) patch(t *testing.T, patch string) {
	t.Helper()
	_, err := b.KubeDB.PetSets(b.Namespace).Patch(t.Context(), "db", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
}

func (b *bundle) pods(t *testing.T) map[string]corev1.Pod {
	t.Helper()
	list, err := b.Core.CoreV1().Pods(b.Namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	pods := map[string]corev1.Pod{}
	for _, pod := range list.Items {
		pods[pod.Name] = pod
	}
	return pods
}

// waitReady waits until the set has exactly these pods, all ready, and its status says so.
func (b *bundle) waitReady(t *testing.T, names ...string) *kubedb.PetSet {
	t.Helper()
	var set *kubedb.PetSet
	clustertest.Eventually(t, func() bool {
		var err error
		set, err = b.KubeDB.PetSets(b.Namespace).Get(t.Context(), "db", metav1.GetOptions{})
		require.NoError(t, err)
		status, n := set.Status, int32(len(names))
		return status.ObservedGeneration == set.Generation && status.Replicas == n && status.ReadyReplicas == n &&
			status.AvailableReplicas == n && slices.Equal(slices.Sorted(maps.Keys(b.pods(t))), names)
	})
	return set
}

func uids(pods map[string]corev1.Pod) map[string]types.UID {
	result := map[string]types.UID{}
	for name, pod := range pods {
		result[name] = pod.UID
	}
	return result
}

func TestPodsAndClaims(t *testing.T) {
	t.Parallel()
	b := setup(t)
	created := b.create(t, newSet(2))
	set := b.waitReady(t, "db-0", "db-1")
	require.Equal(t, set.Status.UpdateRevision, set.Status.CurrentRevision)
	require.EqualValues(t, 2, set.Status.UpdatedReplicas)

	pods := b.pods(t)
	first, second := pods["db-0"], pods["db-1"]
	require.False(t, second.CreationTimestamp.Before(&first.CreationTimestamp))
	require.Subset(t, second.Labels, map[string]string{
		"app": "db", "statefulset.kubernetes.io/pod-name": "db-1", "apps.kubernetes.io/pod-index": "1",
		"controller-revision-hash": set.Status.UpdateRevision,
	})
	require.True(t, metav1.IsControlledBy(&second, created))
	require.Equal(t, "db-1", second.Spec.Hostname)
	require.Equal(t, "db-pods", second.Spec.Subdomain)

	claim, err := b.Core.CoreV1().PersistentVolumeClaims(b.Namespace).Get(t.Context(), "data-db-1", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"app": "db", "from": "template"}, claim.Labels)
	require.Empty(t, claim.OwnerReferences)
	require.Equal(t, corev1.ClaimBound, claim.Status.Phase)
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, policy := range []appsv1.PodManagementPolicyType{appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			set := newSet(1)
			set.Spec.PodManagementPolicy = policy
			b.create(t, set)
			b.waitReady(t, "db-0")
			b.patch(t, `{"spec":{"replicas":4}}`)
			b.waitReady(t, "db-0", "db-1", "db-2", "db-3")
			b.patch(t, `{"spec":{"replicas":2}}`)
			b.waitReady(t, "db-0", "db-1")
			b.patch(t, `{"spec":{"ordinals":{"start":1}}}`)
			b.waitReady(t, "db-1", "db-2")

			claims, err := b.Core.CoreV1().PersistentVolumeClaims(b.Namespace).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			require.Len(t, claims.Items, 4, "claims are never deleted")
		})
	}
}

func TestDeletedPodComesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, newSet(2))
	b.waitReady(t, "db-0", "db-1")
	before := uids(b.pods(t))
	require.NoError(t, b.Core.CoreV1().Pods(b.Namespace).Delete(t.Context(), "db-0", metav1.DeleteOptions{}))
	clustertest.Eventually(t, func() bool { pod, ok := b.pods(t)["db-0"]; return ok && pod.UID != before["db-0"] })
	b.waitReady(t, "db-0", "db-1")
	require.Equal(t, before["db-1"], b.pods(t)["db-1"].UID)
}

// TestOrphansAreAdopted is what KubeDB does to a StatefulSet when it grows volumes: it deletes the set without its pods
// and makes it again with another claim template.
func TestOrphansAreAdopted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, newSet(3))
	old := b.waitReady(t, "db-0", "db-1", "db-2")
	before := uids(b.pods(t))

	orphan := metav1.DeletePropagationOrphan
	require.NoError(t, b.KubeDB.PetSets(b.Namespace).Delete(t.Context(), "db", metav1.DeleteOptions{PropagationPolicy: &orphan}))
	clustertest.Eventually(t, func() bool {
		_, err := b.KubeDB.PetSets(b.Namespace).Get(t.Context(), "db", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	require.Equal(t, before, uids(b.pods(t)))

	again := newSet(3)
	again.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("2Gi")
	again = b.create(t, again)
	set := b.waitReady(t, "db-0", "db-1", "db-2")
	require.Equal(t, before, uids(b.pods(t)), "no pod was restarted")
	require.Equal(t, old.Status.UpdateRevision, set.Status.UpdateRevision)
	for _, pod := range b.pods(t) {
		require.True(t, metav1.IsControlledBy(&pod, again), pod.Name)
		require.Len(t, pod.OwnerReferences, 1)
	}
}

func TestClaimTemplateChangeTouchesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, newSet(1))
	before := b.waitReady(t, "db-0")
	pod := b.pods(t)["db-0"]

	b.patch(t, `{"spec":{"replicas":2,"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"2Gi"}}}}]}}`)
	after := b.waitReady(t, "db-0", "db-1")
	require.Equal(t, before.Status.UpdateRevision, after.Status.UpdateRevision)
	require.Equal(t, pod.UID, b.pods(t)["db-0"].UID)
	for name, size := range map[string]string{"data-db-0": "1Gi", "data-db-1": "2Gi"} {
		claim, err := b.Core.CoreV1().PersistentVolumeClaims(b.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, size, claim.Spec.Resources.Requests.Storage().String(), name)
	}
}

const newImage = `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"image:2"}]}}}}`

func (b *bundle) images(t *testing.T) string {
	t.Helper()
	var images []string
	for name, pod := range b.pods(t) {
		images = append(images, fmt.Sprintf("%s=%s", name, pod.Spec.Containers[0].Image))
	}
	slices.Sort(images)
	return strings.Join(images, " ")
}

func TestOnDelete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set := newSet(2)
	set.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	b.create(t, set)
	b.waitReady(t, "db-0", "db-1")
	b.patch(t, newImage)
	clustertest.Eventually(t, func() bool { return b.waitReady(t, "db-0", "db-1").Status.UpdatedReplicas == 0 })
	require.Equal(t, "db-0=image:1 db-1=image:1", b.images(t))

	require.NoError(t, b.Core.CoreV1().Pods(b.Namespace).Delete(t.Context(), "db-0", metav1.DeleteOptions{}))
	clustertest.Eventually(t, func() bool { return b.images(t) == "db-0=image:2 db-1=image:1" })
	clustertest.Eventually(t, func() bool { return b.waitReady(t, "db-0", "db-1").Status.UpdatedReplicas == 1 })
}

func TestRollingUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set := newSet(3)
	partition := int32(1)
	set.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: &partition}
	b.create(t, set)
	b.waitReady(t, "db-0", "db-1", "db-2")
	b.patch(t, newImage)
	clustertest.Eventually(t, func() bool { return b.images(t) == "db-0=image:1 db-1=image:2 db-2=image:2" })
	b.waitReady(t, "db-0", "db-1", "db-2")

	b.patch(t, `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`)
	clustertest.Eventually(t, func() bool { return b.images(t) == "db-0=image:2 db-1=image:2 db-2=image:2" })
	b.waitReady(t, "db-0", "db-1", "db-2")
	// The last pod may be ready before the status says that the roll-out is over.
	clustertest.Eventually(t, func() bool {
		after, err := b.KubeDB.PetSets(b.Namespace).Get(t.Context(), "db", metav1.GetOptions{})
		require.NoError(t, err)
		return after.Status.UpdateRevision == after.Status.CurrentRevision
	})
}

// TestHeldPodIsWaitedFor is an Offline expansion: a finalizer keeps a dead pod's name until its volume has grown.
func TestHeldPodIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, newSet(1))
	b.waitReady(t, "db-0")
	pods := b.Core.CoreV1().Pods(b.Namespace)
	_, err := pods.Patch(t.Context(), "db-0", types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/hold"]}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.NoError(t, pods.Delete(t.Context(), "db-0", metav1.DeleteOptions{}))
	held := b.pods(t)["db-0"]
	require.NotNil(t, held.DeletionTimestamp)

	b.stop()
	b.start(t) // a controller that has not seen what came before
	require.Equal(t, held.UID, b.pods(t)["db-0"].UID)
	_, err = pods.Patch(t.Context(), "db-0", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	clustertest.Eventually(t, func() bool { pod, ok := b.pods(t)["db-0"]; return ok && pod.UID != held.UID })
	b.waitReady(t, "db-0")
}

func TestDeletedSetTakesItsPodsAndLeavesItsClaims(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, newSet(2))
	b.waitReady(t, "db-0", "db-1")
	require.NoError(t, b.KubeDB.PetSets(b.Namespace).Delete(t.Context(), "db", metav1.DeleteOptions{}))
	clustertest.Eventually(t, func() bool { return len(b.pods(t)) == 0 })
	claims, err := b.Core.CoreV1().PersistentVolumeClaims(b.Namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, claims.Items, 2)
}
