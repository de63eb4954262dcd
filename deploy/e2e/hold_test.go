// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/expander"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/doctor"
)

// A pod is held while that can help, and no longer. Every request here may take
// longer than its test has patience: what ends it, or brings the pod back, is never the
// deadline.

// C03: the driver refuses for a reason that has nothing to do with use. Nobody is sent
// to Offline for it, and Offline gives the pod back and says the reason.
func TestC03_RefusedForAnotherReason(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	b.fault("data-one-0", cluster.Fault{Code: "FAILED_PRECONDITION", Message: "the volume has 3 snapshots"})
	before := b.pods()
	b.create(fixture.Expansion("online", "one", fixture.Sizes{Node: "2Gi"}))
	request := b.ended("online")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "data-one-0: DriverRefused: ")
	require.Contains(t, fixture.FailureOf(request), "the volume has 3 snapshots")
	require.NotContains(t, fixture.FailureOf(request), "mode: Offline")
	b.restarted(before)
	b.resumed("one")

	b.create(fixture.Expansion("offline", "one", fixture.Sizes{Node: "2Gi"}, offline))
	request = b.ended("offline")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "data-one-0: DriverRefused: ")
	require.Contains(t, fixture.FailureOf(request), "the volume has 3 snapshots")
	require.NotContains(t, fixture.FailureOf(request), "does not end")
	b.pod("one-0", "a successor that is ready", func(pod *corev1.Pod) bool { return pod.UID != before["one-0"] && kubeReady(pod) })
	b.resumed("one")
}

// user runs another pod with the claim, which is the test's to delete.
func (b *bundle) user(name, claim string) {
	b.Helper()
	b.checker.Excuse(name)
	_, err := b.core.CoreV1().Pods(b.namespace).Create(b.ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "main", Image: "main"}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	b.pod(name, "running", func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodRunning })
}

// C10: a backup uses the volume as well. It is waited for, by name, before the
// database's pod is touched.
func TestC10_AnotherPodUsesTheClaim(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	b.offlineOnlyClaim("data-one-0")
	b.user("backup", "data-one-0")
	before := b.pods()
	text, err := b.opsrelay("plan", "-f", b.write(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline)), "-n", b.namespace)
	require.Equal(t, waits, exitCode(err), text)
	require.Contains(t, text, "pod "+b.namespace+"/backup uses claim data-one-0 as well")

	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline))
	request := b.waitsFor("grow", "ClaimInUse")
	require.Contains(t, kubedb.FindCondition(request.Status.Conditions, "Waiting").Message, "pod "+b.namespace+"/backup uses claim data-one-0 as well")
	b.restarted(before)
	require.Empty(t, b.evictions())

	require.NoError(t, b.core.CoreV1().Pods(b.namespace).Delete(b.ctx, "backup", metav1.DeleteOptions{}))
	request = b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.NotEqual(t, before["one-0"], b.pods()["one-0"])
}

// offlineOnlyClaim makes the storage driver refuse to expand the volume while it is in
// use.
func (b *bundle) offlineOnlyClaim(claim string) {
	b.Helper()
	b.fault(claim, cluster.Fault{OfflineOnly: true})
}

// C10, too late to wait: the pod is held dead already when another one comes. Nothing
// grows then, so the pod comes back.
func TestC10_AnotherPodComesWhileOneIsHeld(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	before := b.pods()
	b.fault("data-one-0", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline))
	b.heldDead("one-0")
	b.claimStatus("data-one-0", corev1.PersistentVolumeClaimControllerResizeInProgress)
	b.user("backup", "data-one-0")
	b.pod("one-0", "a successor that is ready", func(pod *corev1.Pod) bool { return pod.UID != before["one-0"] && kubeReady(pod) })
	b.waitsFor("grow", "ClaimInUse")

	b.mend("data-one-0") // the volume grows, in use or not
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
}

// heldDead waits until the pod is held and dead.
func (b *bundle) heldDead(name string) {
	b.Helper()
	b.pod(name, "held and dead", func(pod *corev1.Pod) bool {
		return slices.Contains(pod.Finalizers, expander.Hold) && pod.Status.Phase == corev1.PodSucceeded
	})
}

// C14: a policy refuses the hold. It is said at once, and nothing has happened to the
// pod.
func TestC14_APolicyRefusesTheHold(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	before := b.pods()
	b.refuseFinalizers()
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "expand Pod "+b.namespace+"/one-0: HoldRefused: ")
	require.Contains(t, fixture.FailureOf(request), "no finalizers on pods here", "the policy's own words")
	b.restarted(before)
	b.resumed("one")
}

// refuseFinalizers has the API server refuse new finalizers on the namespace's pods,
// and waits until it does.
func (b *bundle) refuseFinalizers() {
	b.Helper()
	registration := b.core.AdmissionregistrationV1()
	name := b.namespace + "-finalizers"
	_, err := registration.ValidatingAdmissionPolicies().Create(b.ctx, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: "!has(object.metadata.finalizers)", Message: "no finalizers on pods here"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	b.Cleanup(func() { _ = registration.ValidatingAdmissionPolicies().Delete(b.ctx, name, metav1.DeleteOptions{}) })
	_, err = registration.ValidatingAdmissionPolicyBindings().Create(b.ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: b.namespace},
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	require.Eventually(b, func() bool {
		_, err := b.core.CoreV1().Pods(b.namespace).Patch(b.ctx, "one-0", types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/probe"]}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsInvalid(err) || apierrors.IsForbidden(err)
	}, patience, 50*time.Millisecond)
}

// F13, Offline: that a quota is in the way is found out before the pod is taken down, and not while
// it is held.
func TestF13_AQuotaIsInTheWayOffline(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	b.user("probe", "data-one-0") // the request waits for it, so that its plan knows no quota yet
	before := b.pods()
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline, timeout(30*time.Second)))
	b.waitsFor("grow", "ClaimInUse")
	_, err := b.core.CoreV1().ResourceQuotas(b.namespace).Create(b.ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "storage"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceRequestsStorage: resource.MustParse("1Gi")}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	fixture.Eventually(b.ctx, b, b.core.CoreV1().ResourceQuotas(b.namespace), "storage", "its status", &corev1.ResourceQuota{},
		func(quota *corev1.ResourceQuota) bool { return len(quota.Status.Used) > 0 })
	require.NoError(t, b.core.CoreV1().Pods(b.namespace).Delete(b.ctx, "probe", metav1.DeleteOptions{}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), ": QuotaExceeded: ")
	require.Equal(t, before["one-0"], b.pods()["one-0"])
	require.Empty(t, b.evictions())
}

// D21: the namespace goes while a pod is held. The hold is not taken off for the
// deadline, and no other pod is taken down.
func TestD21_TheNamespaceGoesWhileAPodIsHeld(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Delay: "5s"})
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline, always))
	b.heldDead("sdb-leaf-1")
	b.checker.ExcuseNamespace()
	b.deleteNamespace()
	require.Eventually(t, func() bool {
		pods, err := b.core.CoreV1().Pods(b.namespace).List(b.ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == 0
	}, patience, 100*time.Millisecond, "pods are left")
	require.Equal(t, []string{"sdb-leaf-1"}, b.evictions())
}

// D29: an earlier growth to less waits for its node, which needs a pod that runs. It
// ends first; then the pod is taken down for the rest.
func TestD29_AnEarlierGrowthHasNotEnded(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassNode))
	b.ask("data-one-0", "1536Mi")
	b.claimStatus("data-one-0", corev1.PersistentVolumeClaimNodeResizePending)
	b.offlineOnlyClaim("data-one-0")
	before := b.pods()
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "2Gi", b.capacity("data-one-0"))
	b.restarted(before, "one-0")
}

// D29, by recover: what it takes the request back to, the node has to grow as well.
func TestD29_RecoverNeedsTheNode(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassNode))
	b.fault("data-one-0", full("1026Mi"))
	before := b.pods()
	b.create(recovering(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline)))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "data-one-0: ControllerResizeInfeasible: ")
	require.Equal(t, "1073741825", b.capacity("data-one-0"), "the node has done its part")
	b.restarted(before, "one-0")
}

// D29, after an infeasible request for the same size: in between the claim asks for a
// byte less, which is a growth of its own.
func TestD29_AByteLess(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassNode))
	b.fault("data-one-0", full("1Gi"))
	b.create(fixture.Expansion("first", "one", fixture.Sizes{Node: "2Gi"}))
	require.Equal(t, kubedb.OpsFailed, b.ended("first").Status.Phase)
	b.resumed("one")
	b.mend("data-one-0")
	b.checker.Excuse("one-0") // it is restarted once for each of the two growths
	b.create(fixture.Expansion("again", "one", fixture.Sizes{Node: "2Gi"}, offline))
	request := b.ended("again")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, "2Gi", b.capacity("data-one-0"))
}

// D30: the same online: the node is nudged for the earlier growth, too. By itself it
// would look a minute later.
func TestD30_TheNodeIsNudgedForAnEarlierGrowth(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassNode))
	b.ask("data-one-0", "1536Mi")
	b.claimStatus("data-one-0", corev1.PersistentVolumeClaimNodeResizePending)
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, timeout(45*time.Second)))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
}

// D31: the node refused an earlier request, and would not refuse this one. What it
// said then stays in the status until it has tried again.
func TestD31_TheNodeRefusedAnEarlierRequest(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassNode))
	b.fault("data-one-0", cluster.Fault{Code: "OUT_OF_RANGE", Message: "the file system is at its largest", Operation: cluster.NodeExpand})
	b.create(fixture.Expansion("first", "one", fixture.Sizes{Node: "2Gi"}))
	require.Contains(t, fixture.FailureOf(b.ended("first")), ": NodeResizeInfeasible: ")
	// It tries again by itself, each time after twice as long: 4 s after the third.
	refusals, last := 0, corev1.ClaimResourceStatus("")
	fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-one-0", "two more refusals", &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			status := claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]
			if status == corev1.PersistentVolumeClaimNodeResizeInfeasible && last != status {
				refusals++
			}
			last = status
			return refusals == 3
		})
	b.mend("data-one-0")
	b.create(fixture.Expansion("again", "one", fixture.Sizes{Node: "2Gi"}))
	request := b.ended("again")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
}

// The expander is gone while a pod is held, and its request ends without it. The doctor
// sees the pod, and the next expander gives it back.
func TestD03_AHeldPodOutlivesItsRequest(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	before := b.pods()
	b.fault("data-one-0", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, offline, timeout(20*time.Second)))
	b.heldDead("one-0")
	require.NoError(t, b.stack.KillService("expander"))
	require.Equal(t, kubedb.OpsFailed, b.ended("grow").Status.Phase)
	b.finds("held pods", doctor.Broken, "pod "+b.namespace+"/one-0 is held for SinglestoreOpsRequest "+b.namespace+"/grow", "the expander releases it by itself")
	require.NoError(t, b.stack.StartService("expander"))
	b.pod("one-0", "a successor that is ready", func(pod *corev1.Pod) bool { return pod.UID != before["one-0"] && kubeReady(pod) })
}
