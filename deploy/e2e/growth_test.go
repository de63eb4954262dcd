// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/expander"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// F18: errors of the driver that may go away are waited for, whether the resizer
// takes them for final or not.
func TestF18_TransientDriverErrors(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-aggregator-0", cluster.Fault{Code: "UNAVAILABLE", Message: "the driver restarts", Times: 2})
	b.fault("data-sdb-leaf-0", cluster.Fault{Code: "INTERNAL", Message: "try later", Times: 2})
	b.fault("data-sdb-leaf-1", cluster.Fault{Code: "DEADLINE_EXCEEDED", Message: "too slow", Times: 2})
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
}

// F19: nobody expands volumes of that kind. The status says so as long as it is
// waited for, and so does the failure at the deadline.
func TestF19_NoResizer(t *testing.T) {
	b := setup(t)
	b.databaseWithoutResizer("one")
	b.create(static(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, timeout(20*time.Second))))

	growing := b.condition("grow", "VolumesGrowing")
	require.Contains(t, kubedb.FindCondition(growing.Status.Conditions, "VolumesGrowing").Message, "node: 0 of 1 volumes have grown")
	waiting := b.waitsFor("grow", "NoResizerObserved")
	require.Contains(t, kubedb.FindCondition(waiting.Status.Conditions, kubedb.ConditionWaiting).Message, "data-one-0")
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "expand PersistentVolumeClaim "+b.namespace+"/data-one-0: NoResizerObserved: ")
	require.Nil(t, kubedb.FindCondition(request.Status.Conditions, "VolumesGrowing"))
	require.Equal(t, "1Gi", b.resumed("one").Spec.Storage.Resources.Requests.Storage().String())
	require.Equal(t, map[string]string{"data": "1Gi"}, b.templates("one"))
}

// F24: a claim that was asked to grow has no condition yet, here never: its
// capacity decides, as on a cluster whose resizer writes nothing else.
func TestF24_NoConditionTellsOfTheGrowth(t *testing.T) {
	b := setup(t)
	b.databaseWithoutResizer("one")
	b.create(static(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"})))
	claims := b.core.CoreV1().PersistentVolumeClaims(b.namespace)
	claim := fixture.Eventually(b.ctx, b, claims, "data-one-0", "the larger request", &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			return claim.Spec.Resources.Requests.Storage().String() == "2Gi"
		})
	require.Empty(t, claim.Status.Conditions)
	require.Empty(t, claim.Status.AllocatedResourceStatuses)
	require.Equal(t, kubedb.OpsProgressing, b.condition("grow", kubedb.ConditionDatabasePauseSucceeded).Status.Phase)

	_, err := claims.Patch(b.ctx, claim.Name, types.MergePatchType, []byte(`{"status":{"capacity":{"storage":"2Gi"}}}`), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
}

// databaseWithoutResizer creates a database on a volume that no resizer knows.
func (b *bundle) databaseWithoutResizer(name string) {
	b.Helper()
	own := b.class("nobody", "nobody.example.com")
	b.staticVolume("data-"+name+"-0", own)
	b.createDatabase(fixture.Standalone(name, own))
}

// static allows the request volumes that were made by hand.
func static(request *kubedb.SinglestoreOpsRequest) *kubedb.SinglestoreOpsRequest {
	metav1.SetMetaDataAnnotation(&request.ObjectMeta, plan.AnnotationStaticVolumes, "allow")
	return request
}

// F22, F23: the storage has grown, and no pod is there for its node to do the
// rest. Resizing and FileSystemResizePending are both True then. Nobody keeps the
// pod from coming, and with it the volume grows.
func TestF22_F23_WaitsForItsPod(t *testing.T) {
	b := setup(t)
	db := fixture.Topology("sdb", b.storageClass(storagev1.VolumeBindingImmediate, map[string]string{"nodeExpansion": "true"}))
	db.Spec.Topology.Leaf.PodTemplate = &kubedb.PodTemplate{Spec: kubedb.PodTemplateSpec{NodeSelector: map[string]string{"e2e": b.namespace}}}
	_, err := b.client.Singlestores(b.namespace).Create(b.ctx, db, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, claim := range []string{"data-sdb-leaf-0", "data-sdb-leaf-1"} {
		fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), claim, "Bound", &corev1.PersistentVolumeClaim{},
			func(claim *corev1.PersistentVolumeClaim) bool { return claim.Status.Phase == corev1.ClaimBound })
	}
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, always))
	claim := b.claimStatus("data-sdb-leaf-0", corev1.PersistentVolumeClaimNodeResizePending)
	var conditions []corev1.PersistentVolumeClaimConditionType
	for _, condition := range claim.Status.Conditions {
		conditions = append(conditions, condition.Type)
	}
	require.ElementsMatch(t, []corev1.PersistentVolumeClaimConditionType{corev1.PersistentVolumeClaimResizing, corev1.PersistentVolumeClaimFileSystemResizePending}, conditions)

	// The pod goes altogether, while the database is paused.
	old := b.pods()["sdb-leaf-0"]
	b.checker.Excuse("sdb-leaf-0")
	require.NoError(t, b.core.CoreV1().Pods(b.namespace).Delete(b.ctx, "sdb-leaf-0", metav1.DeleteOptions{}))
	b.pod("sdb-leaf-0", "a successor", func(pod *corev1.Pod) bool { return pod.UID != old })
	b.labelNode()
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
}

// labelNode lets the pods come that ask for the test's own node.
func (b *bundle) labelNode() {
	b.Helper()
	nodes, err := b.core.CoreV1().Nodes().List(b.ctx, metav1.ListOptions{})
	require.NoError(b, err)
	label := []byte(`{"metadata":{"labels":{"e2e":"` + b.namespace + `"}}}`)
	_, err = b.core.CoreV1().Nodes().Patch(b.ctx, nodes.Items[0].Name, types.MergePatchType, label, metav1.PatchOptions{})
	require.NoError(b, err)
}

// storageClass makes a StorageClass of the test's own.
func (b *bundle) storageClass(binding storagev1.VolumeBindingMode, parameters map[string]string) string {
	b.Helper()
	allow, reclaim := true, corev1.PersistentVolumeReclaimDelete
	class, err := b.core.StorageV1().StorageClasses().Create(b.ctx, &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{GenerateName: b.namespace + "-"},
		Provisioner: provisioner, Parameters: parameters, VolumeBindingMode: &binding, AllowVolumeExpansion: &allow, ReclaimPolicy: &reclaim,
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	return class.Name
}

// F26: the driver makes sizes that are multiples of 1Gi. What it gives is enough,
// and asked for once.
func TestF26_TheDriverRoundsUp(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", b.storageClass(storagev1.VolumeBindingWaitForFirstConsumer, map[string]string{"unit": "1073741824"})))
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "6G"}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "6Gi", b.capacity("data-one-0"))
	require.Equal(t, "6G", b.requested("data-one-0"))
	require.Equal(t, "6G", b.resumed("one").Spec.Storage.Resources.Requests.Storage().String())
	patches := 0
	for _, write := range b.audit("expander") {
		if write.Resource == "persistentvolumeclaims" {
			patches++
		}
	}
	require.Equal(t, 1, patches)
}

// F60: a block volume has no file system, and its node a part in its growth all
// the same.
func TestF60_BlockVolumes(t *testing.T) {
	b := setup(t)
	db := fixture.Topology("sdb", fixture.ClassNode)
	block := corev1.PersistentVolumeBlock
	db.Spec.Topology.Aggregator.Storage.VolumeMode, db.Spec.Topology.Leaf.Storage.VolumeMode = &block, &block
	*db.Spec.Topology.Aggregator.Storage.StorageClassName = fixture.ClassOnline
	b.createDatabase(db)
	require.Equal(t, &block, b.claim("data-sdb-leaf-0").Spec.VolumeMode)
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "2Gi", b.capacity("data-sdb-aggregator-0"))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
}

// A database that crashes over and over, because its disk is full for one, is not
// Ready and will not be before it has a larger one: apply: Always grows it, Online
// as it is and Offline in a new pod.
func TestADatabaseThatIsDownGrows(t *testing.T) {
	for _, mode := range []string{"Online", "Offline"} {
		t.Run(mode, func(t *testing.T) {
			b := setup(t)
			b.createDatabase(fixture.Standalone("one", fixture.ClassNode))
			b.crash("one-0")
			fixture.Eventually(b.ctx, b, b.client.Singlestores(b.namespace), "one", "not Ready", &kubedb.Singlestore{},
				func(db *kubedb.Singlestore) bool { return db.Status.Phase != kubedb.DatabaseReady })
			before := b.pods()
			request := fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always)
			request.Spec.VolumeExpansion.Mode = kubedb.VolumeExpansionMode(mode)
			b.create(request)

			request = b.ended("grow")
			require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
			require.Equal(t, "2Gi", b.capacity("data-one-0"))
			if mode == "Offline" {
				b.restarted(before, "one-0")
				return
			}
			b.restarted(before)
			pod := b.pod("one-0", "the nudge", func(*corev1.Pod) bool { return true })
			require.Contains(t, pod.Annotations, expander.NudgeAnnotation)
			require.False(t, kubeReady(pod), "it crashes still")
		})
	}
}

// crash has the pod's containers end over and over, as far as the API tells.
func (b *bundle) crash(name string) {
	b.Helper()
	status := `{"status":{"containerStatuses":[{"name":"singlestore","image":"singlestore","imageID":"","ready":false,"started":false,"restartCount":7,
		"state":{"waiting":{"reason":"CrashLoopBackOff","message":"back-off 5m0s restarting failed container"}}}],
		"conditions":[{"type":"Ready","status":"False","reason":"ContainersNotReady"},{"type":"ContainersReady","status":"False","reason":"ContainersNotReady"}]}}`
	_, err := b.core.CoreV1().Pods(b.namespace).Patch(b.ctx, name, types.StrategicMergePatchType, []byte(status), metav1.PatchOptions{}, "status")
	require.NoError(b, err)
}
