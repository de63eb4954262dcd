// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/expander"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// scaleLeaves has the database have that many leaves. Where it is paused, nobody
// but the test tells its workload.
func (b *bundle) scaleLeaves(db string, leaves int) {
	b.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"topology":{"leaf":{"replicas":%d}}}}`, leaves)
	_, err := b.client.Singlestores(b.namespace).Patch(b.ctx, db, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(b, err)
	patch = fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, leaves)
	_, err = b.client.PetSets(b.namespace).Patch(b.ctx, db+"-leaf", types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(b, err)
}

// scaleInBefore takes the last leaf away from a database that nobody works on.
func (b *bundle) scaleInBefore(db string) {
	b.Helper()
	b.checker.Excuse(db + "-leaf-1")
	b.scaleLeaves(db, 1)
	require.Eventually(b, func() bool { return len(b.pods()) == 2 }, patience, 20*time.Millisecond, "the last leaf does not go")
}

// claimBecomes waits until it holds of the claim, which may have to be made.
func (b *bundle) claimBecomes(name, what string, holds func(*corev1.PersistentVolumeClaim) bool) {
	b.Helper()
	fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), name, what, &corev1.PersistentVolumeClaim{}, holds)
}

// hasCapacity is for claimBecomes.
func hasCapacity(size string) func(*corev1.PersistentVolumeClaim) bool {
	return func(claim *corev1.PersistentVolumeClaim) bool {
		return claim.Status.Capacity.Storage().String() == size
	}
}

// says is the message of the request's condition.
func says(request *kubedb.SinglestoreOpsRequest, condition string) string {
	if found := kubedb.FindCondition(request.Status.Conditions, condition); found != nil {
		return found.Message
	}
	return "no condition " + condition
}

// Row 30: a pod that should be has no claim. The others grow, and the claim that
// is made in the end has the new size.
func TestF30_AClaimIsMissing(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	full := resource.MustParse("3")
	quotas := b.core.CoreV1().ResourceQuotas(b.namespace)
	_, err := quotas.Create(b.ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "claims"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePersistentVolumeClaims: full}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	fixture.Eventually(b.ctx, b, quotas, "claims", "to count", &corev1.ResourceQuota{}, func(quota *corev1.ResourceQuota) bool {
		used := quota.Status.Used[corev1.ResourcePersistentVolumeClaims]
		return used.Cmp(full) == 0
	})
	b.scaleLeaves("sdb", 3)
	request := fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, func(spec *kubedb.SinglestoreOpsRequestSpec) { spec.Apply = kubedb.ApplyAlways })
	b.create(request)

	request = b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "claims that do not exist; those that are made later have the new size: data-sdb-leaf-2", says(request, "ClaimsMissing"))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
	require.NoError(t, quotas.Delete(b.ctx, "claims", metav1.DeleteOptions{}))
	b.claimBecomes("data-sdb-leaf-2", "11Gi", hasCapacity("11Gi"))
}

// Row 32: scaling in has left a claim. It holds no request open: it is told, and
// asked to grow if the request says so.
func TestF32_AClaimIsLeftOver(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.scaleInBefore("sdb")
	b.create(fixture.Expansion("leave", "sdb", fixture.Sizes{Leaf: "11Gi"}))

	request := b.ended("leave")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Contains(t, says(request, "ClaimsLeftOver"), "keep their size; a request annotated with opsrelay.dev/leftover-claims: grow asks them to grow: data-sdb-leaf-1 (10Gi)")
	require.Equal(t, "10Gi", b.claim("data-sdb-leaf-1").Spec.Resources.Requests.Storage().String())

	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	request = fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "12Gi"})
	request.Annotations = map[string]string{"opsrelay.dev/leftover-claims": "grow"}
	b.create(request)
	request = b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Contains(t, says(request, "ClaimsLeftOver"), "were asked to grow and not waited for: data-sdb-leaf-1 (10Gi)")
	require.Equal(t, "12Gi", b.claim("data-sdb-leaf-1").Spec.Resources.Requests.Storage().String())
}

// Row 33: the database is scaled out while a volume grows. The new volume grows at
// once, while the other one still does, and the request waits for both.
func TestF33_ScaleOutUnderWay(t *testing.T) {
	b := setup(t)
	b.growing("grow", "sdb")
	b.scaleLeaves("sdb", 3)
	b.claimBecomes("data-sdb-leaf-2", "11Gi", hasCapacity("11Gi"))
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
}

// Row 34: the database is scaled in while the volume of the pod that goes grows,
// and never would be done. The request does not wait for it any more.
func TestF34_ScaleInUnderWay(t *testing.T) {
	b := setup(t)
	b.growing("grow", "sdb")
	b.checker.Excuse("sdb-leaf-1")
	b.scaleLeaves("sdb", 1)

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	require.Contains(t, says(request, "ClaimsLeftOver"), "data-sdb-leaf-1 (10Gi)")
}

// Row 34, Offline: the pod that goes is held just then. It is let go.
func TestF34_ScaleInWhileThePodIsHeld(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline))
	b.pod("sdb-leaf-1", "held and dead", func(pod *corev1.Pod) bool {
		return slices.Contains(pod.Finalizers, expander.Hold) && pod.Status.Phase == corev1.PodSucceeded
	})
	b.checker.Excuse("sdb-leaf-1") // the PetSet's controller may make it once more before it sees the scale
	b.scaleLeaves("sdb", 1)

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	require.Eventually(t, func() bool {
		_, err := b.core.CoreV1().Pods(b.namespace).Get(b.ctx, "sdb-leaf-1", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, patience, 20*time.Millisecond, "sdb-leaf-1 is still there")
}
