// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// full is a pool that has no room for volumes of more than the size.
func full(size string) cluster.Fault {
	room := resource.MustParse(size)
	return cluster.Fault{Code: "OUT_OF_RANGE", Message: "the pool has room for " + size, Above: room.Value()}
}

// mend makes the storage driver behave again for a claim.
func (b *bundle) mend(claim string) {
	b.Helper()
	require.NoError(b, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, claim)))
}

// ask writes a claim's request, as a user does by hand.
func (b *bundle) ask(claim, size string) {
	b.Helper()
	_, err := b.core.CoreV1().PersistentVolumeClaims(b.namespace).Patch(b.ctx, claim, types.MergePatchType,
		[]byte(`{"spec":{"resources":{"requests":{"storage":"`+size+`"}}}}`), metav1.PatchOptions{})
	require.NoError(b, err)
}

// claimStatus waits until Kubernetes says that of the claim's growth.
func (b *bundle) claimStatus(name string, status corev1.ClaimResourceStatus) *corev1.PersistentVolumeClaim {
	b.Helper()
	return fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), name, string(status), &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			return claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] == status
		})
}

// requested is what the claim asks for.
func (b *bundle) requested(claim string) string {
	b.Helper()
	return b.claim(claim).Spec.Resources.Requests.Storage().String()
}

// templates are the sizes of a workload's claim templates.
func (b *bundle) templates(workload string) map[string]string {
	b.Helper()
	set, err := b.client.PetSets(b.namespace).Get(b.ctx, workload, metav1.GetOptions{})
	require.NoError(b, err)
	sizes := map[string]string{}
	for _, template := range set.Spec.VolumeClaimTemplates {
		sizes[template.Name] = template.Spec.Resources.Requests.Storage().String()
	}
	return sizes
}

// F15: what the storage cannot give fails at once, in the driver's own words, and
// by default everything stays as it is then.
func TestF15_ControllerInfeasible(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-0", full("10Gi"))
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "expand PersistentVolumeClaim "+b.namespace+"/data-sdb-leaf-0: ControllerResizeInfeasible: ")
	require.Contains(t, fixture.FailureOf(request), "the pool has room for 10Gi", "the driver's own words")
	require.Contains(t, fixture.FailureOf(request), "data-sdb-leaf-0 10Gi of 11Gi")
	require.Equal(t, "11Gi", b.requested("data-sdb-leaf-0"))
	require.Equal(t, "10Gi", b.resumed("sdb").Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
}

// F15, recover: the claim that cannot grow goes back to what the API allows, the
// others keep their size, and template and database carry what all have.
func TestF15_Recover(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-0", full("10754Mi"))
	b.create(recovering(fixture.Expansion("grow", "sdb", fixture.Guide)))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	message := fixture.FailureOf(request)
	require.Contains(t, message, "expand PersistentVolumeClaim "+b.namespace+"/data-sdb-leaf-0: ControllerResizeInfeasible: ")
	require.Contains(t, message, "the pool has room for 10754Mi")
	require.Contains(t, message, "data-sdb-leaf-0 10737418241 of 11Gi (Requested: asks for 10737418241)")
	require.Contains(t, message, "data-sdb-leaf-1 11Gi of 11Gi (Grown)")
	require.True(t, kubedb.IsConditionTrue(request.Status.Conditions, kubedb.ConditionUpdateAggregatorNodePVCs))
	require.Nil(t, kubedb.FindCondition(request.Status.Conditions, kubedb.ConditionUpdateLeafNodePVCs))
	require.Nil(t, kubedb.FindCondition(request.Status.Conditions, kubedb.ConditionSuccessful))

	require.Equal(t, "10737418241", b.requested("data-sdb-leaf-0"), "the API takes nothing less: its capacity was 10Gi")
	require.Equal(t, "10737418241", b.capacity("data-sdb-leaf-0"))
	require.Empty(t, b.claim("data-sdb-leaf-0").Status.AllocatedResourceStatuses, "it is not stuck")
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
	db := b.resumed("sdb")
	require.Equal(t, "10Gi", db.Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
	require.Equal(t, "2Gi", db.Spec.Topology.Aggregator.Storage.Resources.Requests.Storage().String())
	require.Equal(t, map[string]string{"data": "10Gi"}, b.templates("sdb-leaf"))
	require.Equal(t, map[string]string{"data": "2Gi"}, b.templates("sdb-aggregator"))

	// There is room again.
	b.mend("data-sdb-leaf-0")
	b.create(fixture.Expansion("again", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	again := b.ended("again")
	require.Equal(t, kubedb.OpsSuccessful, again.Status.Phase, fixture.FailureOf(again))
}

// F15, recover while pods are down: no pod stays held, and each was restarted
// once.
func TestF15_RecoverOffline(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", full("10754Mi"))
	before := b.pods()
	b.create(recovering(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline)))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "data-sdb-leaf-1: ControllerResizeInfeasible: ")
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	require.Equal(t, "10737418241", b.requested("data-sdb-leaf-1"))
	b.restarted(before, "sdb-leaf-0", "sdb-leaf-1")
	b.resumed("sdb")
}

// F15: not even the smallest request can be given. It is taken back all the same,
// and nobody waits for it.
func TestF15_RecoverWhereNothingGrows(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	b.fault("data-one-0", full("1Gi"))
	b.create(recovering(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"})))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "data-one-0: ControllerResizeInfeasible: ")
	require.Equal(t, "1073741825", b.requested("data-one-0"))
	require.Equal(t, "1Gi", b.resumed("one").Spec.Storage.Resources.Requests.Storage().String())
}

// A policy that nobody knows is refused, and nothing is touched.
func TestAnUnknownPolicyIsRefused(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	request := fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"})
	metav1.SetMetaDataAnnotation(&request.ObjectMeta, kubedb.AnnotationInfeasible, "retry")
	b.create(request)

	ended := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, ended.Status.Phase)
	require.Contains(t, fixture.FailureOf(ended), `metadata.annotations[opsrelay.dev/infeasible]: "retry" is neither fail nor recover`)
	require.Equal(t, "1Gi", b.requested("data-one-0"))
}

// F16: an earlier request found no room. What it left in the claim's status is not
// taken for an answer to the next one, for which there is room.
func TestF16_InfeasibleThenFeasible(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-0", full("10Gi"))
	for _, attempt := range []struct{ name, size string }{{"first", "11Gi"}, {"same-size", "11Gi"}, {"larger", "20Gi"}} {
		b.create(fixture.Expansion(attempt.name, "sdb", fixture.Sizes{Leaf: attempt.size}))
		failed := b.ended(attempt.name)
		require.Equal(t, kubedb.OpsFailed, failed.Status.Phase)
		require.Contains(t, fixture.FailureOf(failed), "data-sdb-leaf-0: ControllerResizeInfeasible: ")
		b.claimStatus("data-sdb-leaf-0", corev1.PersistentVolumeClaimControllerResizeInfeasible)
	}

	// The claim asks for 20Gi, and the storage has 12Gi now.
	b.fault("data-sdb-leaf-0", full("12Gi"))
	b.create(fixture.Expansion("smaller", "sdb", fixture.Sizes{Leaf: "12Gi"}))
	request := b.ended("smaller")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "12Gi", b.capacity("data-sdb-leaf-0"))

	// The same size once more, after there is room.
	b.create(fixture.Expansion("fails", "sdb", fixture.Sizes{Leaf: "30Gi"}))
	require.Equal(t, kubedb.OpsFailed, b.ended("fails").Status.Phase)
	b.claimStatus("data-sdb-leaf-0", corev1.PersistentVolumeClaimControllerResizeInfeasible)
	b.mend("data-sdb-leaf-0")
	b.create(fixture.Expansion("fits", "sdb", fixture.Sizes{Leaf: "30Gi"}))
	request = b.ended("fits")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "30Gi", b.capacity("data-sdb-leaf-0"))
}

// F17: the volume is on its way to more when it is asked for less. It finishes
// that first, and has enough.
func TestF17_SmallerWhileItGrows(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-0", cluster.Fault{Delay: "3s"})
	b.ask("data-sdb-leaf-0", "13Gi")
	b.claimStatus("data-sdb-leaf-0", corev1.PersistentVolumeClaimControllerResizeInProgress)
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "13Gi", b.capacity("data-sdb-leaf-0"))
	require.Equal(t, "13Gi", b.requested("data-sdb-leaf-0"), "never lowered while it grows")
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
}

// F25: the storage has grown, and the node cannot grow what is on it.
func TestF25_NodeInfeasible(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassNode))
	b.fault("data-sdb-leaf-0", cluster.Fault{Code: "OUT_OF_RANGE", Message: "the file system is at its largest", Operation: cluster.NodeExpand})
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "expand PersistentVolumeClaim "+b.namespace+"/data-sdb-leaf-0: NodeResizeInfeasible: ")
	require.Contains(t, fixture.FailureOf(request), "the file system is at its largest", "the driver's own words")
	b.resumed("sdb")

	// With the policy to recover, the others grow. What the storage has given is not
	// taken back.
	b.create(recovering(fixture.Expansion("recover", "sdb", fixture.Guide)))
	request = b.ended("recover")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "data-sdb-leaf-0: NodeResizeInfeasible: ")
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
	require.Equal(t, "11Gi", b.requested("data-sdb-leaf-0"))
	db := b.resumed("sdb")
	require.Equal(t, "2Gi", db.Spec.Topology.Aggregator.Storage.Resources.Requests.Storage().String())
	require.Equal(t, "10Gi", db.Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
}

// F25, without an end to it: an error of the node that may go away is waited for.
func TestF25_NodeErrorThatGoesAway(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassNode))
	b.fault("data-one-0", cluster.Fault{Code: "INTERNAL", Message: "device is busy", Times: 3, Operation: cluster.NodeExpand})
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "2Gi", b.capacity("data-one-0"))
}

// F52: of two volumes of each pod, one kind grows and one does not. The claim
// template of the one that grew carries its new size, the other's what it had.
func TestF52_OneOfTwoTemplatesFails(t *testing.T) {
	b := setup(t)
	b.createDatabaseWithLogs("sdb")
	b.fault("write-ahead-log-sdb-leaf-1", full("6Gi"))
	b.create(recovering(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"})))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "write-ahead-log-sdb-leaf-1: ControllerResizeInfeasible: ")
	for _, claim := range []string{"data-sdb-leaf-0", "data-sdb-leaf-1", "write-ahead-log-sdb-leaf-0"} {
		require.Equal(t, "11Gi", b.capacity(claim), claim)
	}
	require.Equal(t, "5368709121", b.capacity("write-ahead-log-sdb-leaf-1"))
	require.Equal(t, map[string]string{"data": "11Gi", "write-ahead-log": "5Gi"}, b.templates("sdb-leaf"))
	require.Equal(t, "10Gi", b.resumed("sdb").Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
}
