// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/updater"
)

// keep is a finalizer of somebody's, which holds what is deleted.
const keep = "example.com/keep"

func kept(set *appsv1.StatefulSet) { set.Finalizers = []string{keep} }

// goes waits until the StatefulSet is being deleted and is rid of its pods, and
// the test's finalizer and the updater's alone keep it.
func (b *bundle) goes(name string) *appsv1.StatefulSet {
	b.Helper()
	return b.statefulSet(name, "deleted without its pods", func(set *appsv1.StatefulSet) bool {
		return set.DeletionTimestamp != nil && slices.Equal(set.Finalizers, []string{keep, updater.Recreate})
	})
}

// letStatefulSetGo takes the test's finalizer off.
func (b *bundle) letStatefulSetGo(set *appsv1.StatefulSet) {
	b.Helper()
	b.setFinalizers(set.Name, `["`+updater.Recreate+`"]`)
}

// forceStatefulSet takes every finalizer off, as impatient people do, and waits
// until the StatefulSet is gone.
func (b *bundle) forceStatefulSet(set *appsv1.StatefulSet) {
	b.Helper()
	b.setFinalizers(set.Name, "null")
	require.NoError(b, b.client.WaitStatefulSet(b.ctx, b.namespace, set.Name, func(is *kubedb.StatefulSet) bool { return is == nil || is.UID != set.UID }))
}

func (b *bundle) setFinalizers(name, finalizers string) {
	b.Helper()
	_, err := b.core.AppsV1().StatefulSets(b.namespace).Patch(b.ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":`+finalizers+`}}`), metav1.PatchOptions{})
	require.NoError(b, err)
}

// intent is the StatefulSet of that name as it is to be recreated.
func (b *bundle) intent(name string) *appsv1.StatefulSet {
	b.Helper()
	revision, err := b.core.AppsV1().ControllerRevisions(b.namespace).Get(b.ctx, updater.IntentName(name), metav1.GetOptions{})
	require.NoError(b, err)
	set := &appsv1.StatefulSet{}
	require.NoError(b, json.Unmarshal(revision.Data.Raw, set))
	return set
}

// The updater dies between deleting a StatefulSet and recreating it, and people
// take its finalizers off. F04: the next one recreates it from the intent. F58: a pod that dies meanwhile comes back.
// F37: somebody else was faster, with the same or with another one.
func TestF04_F37_F58_TheUpdaterDiesWhileThereIsNoStatefulSet(t *testing.T) {
	b := setupOwn(t, stack.Options{AckWait: time.Second})
	sets := map[string]*appsv1.StatefulSet{}
	for _, name := range []string{"alone", "same", "other"} {
		b.createOnStatefulSets(fixture.Standalone(name, fixture.ClassOnline), kept)
		b.create(fixture.Expansion("grow-"+name, name, fixture.Sizes{Node: "2Gi"}, always))
	}
	for _, name := range []string{"alone", "same", "other"} {
		sets[name] = b.goes(name)
	}
	pods := b.pods()
	require.NoError(t, b.stack.KillService("updater"))
	for _, set := range sets {
		b.forceStatefulSet(set)
	}
	for name, set := range sets {
		intent := b.intent(name)
		require.Equal(t, set.UID, intent.UID)
		require.Equal(t, "2Gi", intent.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	}
	client := b.core.AppsV1().StatefulSets(b.namespace)
	// What anybody may do with the intent.
	same := b.intent("same")
	same.UID, same.ManagedFields = "", nil
	same, err := client.Create(b.ctx, same, metav1.CreateOptions{})
	require.NoError(t, err)
	b.checker.Excuse("other")
	other := b.intent("other")
	other.UID, other.ManagedFields, other.Spec.Template.Labels["other"] = "", nil, "yes"
	other.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	other.Spec.UpdateStrategy.RollingUpdate = nil
	other, err = client.Create(b.ctx, other, metav1.CreateOptions{})
	require.NoError(t, err)
	b.checker.Excuse("alone-0")
	require.NoError(t, b.core.CoreV1().Pods(b.namespace).Delete(b.ctx, "alone-0", metav1.DeleteOptions{}))
	require.NoError(t, b.stack.StartService("updater"))

	for _, name := range []string{"alone", "same"} {
		request := b.ended("grow-" + name)
		require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
		b.noIntent(name)
	}
	b.pod("alone-0", "a successor that is Ready", func(pod *corev1.Pod) bool { return pod.UID != pods["alone-0"] && kubeReady(pod) })
	require.Equal(t, same.UID, b.statefulSet("same", "there", func(*appsv1.StatefulSet) bool { return true }).UID)

	request := b.ended("grow-other")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "update StatefulSet "+b.namespace+"/other: RecreateRefused: ")
	require.Equal(t, other.UID, b.statefulSet("other", "there", func(*appsv1.StatefulSet) bool { return true }).UID)
	b.noIntent("other")
	b.restarted(pods, "alone-0")
}

// F36: a StatefulSet that is deleted does not go. Nothing is forced: the request
// fails at its deadline and says why, and when it goes at last, it is recreated.
func TestF36_StatefulSetDoesNotGo(t *testing.T) {
	b := setup(t)
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline), kept)
	pods := b.pods()
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always, timeout(20*time.Second)))
	before := b.goes("one")

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "update StatefulSet "+b.namespace+"/one: WorkloadNotDeleted: ")
	require.Contains(t, fixture.FailureOf(request), keep)
	b.resumed("one")
	require.Equal(t, before.UID, b.intent("one").UID)
	b.restarted(pods)

	b.letStatefulSetGo(before)
	b.statefulSet("one", "a successor with the size", func(set *appsv1.StatefulSet) bool {
		return set.UID != before.UID && set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String() == "2Gi"
	})
	b.noIntent("one")
	b.restarted(pods)
}

// F41: a policy that would not let it be recreated is found before anything is
// deleted.
func TestF41_PolicyRefusesTheSuccessor(t *testing.T) {
	b := setup(t)
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline))
	before := b.statefulSet("one", "there", func(*appsv1.StatefulSet) bool { return true })
	b.refuseStatefulSets()
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "update StatefulSet "+b.namespace+"/one: RecreateRefused: ")
	require.Contains(t, fixture.FailureOf(request), "no more of these")
	after := b.statefulSet("one", "there", func(*appsv1.StatefulSet) bool { return true })
	require.Equal(t, before.UID, after.UID)
	require.Equal(t, before.Generation, after.Generation)
	require.Equal(t, "2Gi", b.capacity("data-one-0"))
	b.noIntent("one")
	b.resumed("one")
}

// refuseStatefulSets has the API server refuse new StatefulSets in the namespace,
// and waits until it does.
func (b *bundle) refuseStatefulSets() {
	b.Helper()
	registration := b.core.AdmissionregistrationV1()
	_, err := registration.ValidatingAdmissionPolicies().Create(b.ctx, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: b.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"statefulsets"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "no more of these"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	_, err = registration.ValidatingAdmissionPolicyBindings().Create(b.ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: b.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: b.namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: b.namespace},
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	probe := stack.StatefulSet(fixture.Standalone("probe", fixture.ClassOnline), fixture.Standalone("probe", fixture.ClassOnline).Components()[0])
	probe.OwnerReferences = nil
	require.Eventually(b, func() bool {
		_, err := b.core.AppsV1().StatefulSets(b.namespace).Create(b.ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsInvalid(err) || apierrors.IsForbidden(err)
	}, patience, 50*time.Millisecond)
}
