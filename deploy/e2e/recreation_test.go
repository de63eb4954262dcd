// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/doctor"
	"github.com/opsrelay/opsrelay/updater"
)

// D03: a StatefulSet is kept by others until its request has failed, and the
// updater goes meanwhile, as when it is scaled to zero. Its message stays, which is
// what it is scaled by, and the next updater recreates the StatefulSet.
func TestD03_TheUpdaterGoesWhileAStatefulSetStays(t *testing.T) {
	b := setupOwn(t, stack.Options{AckWait: time.Second})
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline), kept)
	pods := b.pods()
	before := b.statefulSet("one", "there", func(*appsv1.StatefulSet) bool { return true })
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always, timeout(15*time.Second)))
	b.goes("one")
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "it is recreated when it is gone")
	require.Equal(t, 1, b.unanswered(events.UpdaterConsumer))
	b.finds("recreations", doctor.Broken, "StatefulSet "+b.namespace+"/one was deleted to be recreated, and is kept by finalizers "+keep, "takes them off")

	require.NoError(t, b.stack.KillService("updater"))
	b.letStatefulSetGo(before)
	b.statefulSet("one", "kept by the updater's finalizer", func(set *appsv1.StatefulSet) bool { return set.UID == before.UID })
	require.Equal(t, 1, b.unanswered(events.UpdaterConsumer))
	b.finds("recreations", doctor.Broken, "StatefulSet "+b.namespace+"/one is marked to be recreated for a request that is not under way any more", "does it run?")
	require.NoError(t, b.stack.StartService("updater"))

	after := b.statefulSet("one", "a successor", func(set *appsv1.StatefulSet) bool { return set.UID != before.UID })
	require.Equal(t, "2Gi", after.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	require.Equal(t, before.Spec.Template, after.Spec.Template)
	b.noIntent("one")
	b.restarted(pods)
	b.setFinalizers("one", "null")
	require.Eventually(t, func() bool { return b.unanswered(events.UpdaterConsumer) == 0 }, patience, 50*time.Millisecond)

	// What an earlier version left is named, and nothing comes of it.
	_, err := b.client.Singlestores(b.namespace).Patch(b.ctx, "one", types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"`+updater.Recreate+`":"old"},"annotations":{"`+updater.Recreate+`":"{}"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	b.finds("recreations", doctor.Warning, "Singlestore "+b.namespace+"/one has the annotation", "label singlestore one")
}

// unanswered is how many messages of a consumer are not acknowledged.
func (b *bundle) unanswered(consumer events.Consumer) int {
	b.Helper()
	conn, err := b.stack.Connect(b.ctx, "unanswered")
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close(b.ctx)) }()
	bound, err := conn.JetStream().Consumer(b.ctx, consumer.Stream, consumer.Name)
	require.NoError(b, err)
	info, err := bound.Info(b.ctx)
	require.NoError(b, err)
	return info.NumAckPending + int(info.NumPending)
}

// D11: whoever may write a database object wrote there what the updater was to
// create, in any namespace. Nothing is read there any more.
func TestD11_WhatATenantWritesIsNotCreated(t *testing.T) {
	b := setup(t)
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline))
	privileged := true
	for _, namespace := range []string{metav1.NamespaceSystem, b.namespace} {
		evil := stack.StatefulSet(fixture.Standalone("evil", fixture.ClassOnline), fixture.Standalone("evil", fixture.ClassOnline).Components()[0])
		evil.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}
		evil.Namespace, evil.Name, evil.UID, evil.OwnerReferences = namespace, b.namespace, "made-up", nil
		evil.Spec.Template.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &privileged}
		manifest, err := json.Marshal(evil)
		require.NoError(t, err)
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"labels": map[string]string{updater.Recreate: "made-up"}, "annotations": map[string]string{updater.Recreate: string(manifest)},
		}})
		require.NoError(t, err)
		_, err = b.client.Singlestores(b.namespace).Patch(b.ctx, "one", types.MergePatchType, patch, metav1.PatchOptions{})
		require.NoError(t, err)

		// The sweep saw it at once. A whole request later it had its time.
		size := map[string]string{metav1.NamespaceSystem: "2Gi", b.namespace: "3Gi"}[namespace]
		name := "grow-" + strings.ToLower(size)
		b.create(fixture.Expansion(name, "one", fixture.Sizes{Node: size}, always))
		request := b.ended(name)
		require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
		_, err = b.core.AppsV1().StatefulSets(namespace).Get(b.ctx, evil.Name, metav1.GetOptions{})
		require.True(t, apierrors.IsNotFound(err), "%v", err)
	}
}

// apply applies the StatefulSet on the server's side, as GitOps does, and does not
// force anything.
func (b *bundle) apply(set *appsv1.StatefulSet) (*appsv1.StatefulSet, error) {
	b.Helper()
	set = set.DeepCopy()
	set.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}
	data, err := json.Marshal(set)
	require.NoError(b, err)
	return b.core.AppsV1().StatefulSets(b.namespace).Patch(b.ctx, set.Name, types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: "gitops"})
}

// D18: after a StatefulSet was recreated its fields belong to whom they belonged:
// an apply has no conflict, and what it leaves out goes. So it is with a retention
// policy that was changed meanwhile.
func TestD18_FieldsBelongToWhomTheyBelonged(t *testing.T) {
	b := setup(t)
	db := fixture.Standalone("one", fixture.ClassOnline)
	db.Spec.Halted = true
	db, err := b.client.Singlestores(b.namespace).Create(b.ctx, db, metav1.CreateOptions{})
	require.NoError(t, err)
	manifest := stack.StatefulSet(db, db.Components()[0])
	manifest.Annotations = map[string]string{"example.com/kept": "yes", "example.com/dropped": "yes"}
	manifest.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
	}
	_, err = b.apply(manifest)
	require.NoError(t, err)
	_, err = b.core.AppsV1().StatefulSets(b.namespace).Patch(b.ctx, "one", types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/somebody":"else"}}}`), metav1.PatchOptions{FieldManager: "somebody"})
	require.NoError(t, err)
	before := b.statefulSet("one", "all pods Ready", func(set *appsv1.StatefulSet) bool {
		return set.Status.ReadyReplicas == 1 && set.Status.UpdateRevision != ""
	})
	pods := b.pods()
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	after := b.recreated(before, "2Gi")

	manifest.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}
	again, err := b.apply(manifest)
	require.NoError(t, err)
	require.Equal(t, after.Generation, again.Generation)
	delete(manifest.Annotations, "example.com/dropped")
	again, err = b.apply(manifest)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"example.com/kept": "yes", "example.com/somebody": "else"}, again.Annotations)
	b.restarted(pods)
}

// D19: what is changed of a StatefulSet that is being deleted is changed of its
// successor. A pod and a claim that the garbage collector missed, for they were
// adopted a moment ago, outlive it.
func TestD19_ChangesAndYoungPodsOutliveTheDeletion(t *testing.T) {
	b := setup(t)
	b.checker.Excuse("one") // its template is changed
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline), kept, func(set *appsv1.StatefulSet) {
		set.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	})
	pods := b.pods()
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
	before := b.goes("one")
	_, err := b.core.AppsV1().StatefulSets(b.namespace).Patch(b.ctx, "one", types.StrategicMergePatchType,
		[]byte(`{"metadata":{"annotations":{"example.com/meanwhile":"yes"}},"spec":{"template":{"spec":{"containers":[{"name":"singlestore","image":"newer"}]}}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	owned, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"ownerReferences": []metav1.OwnerReference{*metav1.NewControllerRef(before, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
	}})
	require.NoError(t, err)
	_, err = b.core.CoreV1().Pods(b.namespace).Patch(b.ctx, "one-0", types.MergePatchType, owned, metav1.PatchOptions{})
	require.NoError(t, err)
	_, err = b.core.CoreV1().PersistentVolumeClaims(b.namespace).Patch(b.ctx, "data-one-0", types.MergePatchType, owned, metav1.PatchOptions{})
	require.NoError(t, err)
	b.letStatefulSetGo(before)

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	after := b.statefulSet("one", "a successor", func(set *appsv1.StatefulSet) bool { return set.UID != before.UID })
	require.Equal(t, "newer", after.Spec.Template.Spec.Containers[0].Image)
	require.Equal(t, "yes", after.Annotations["example.com/meanwhile"])
	require.Equal(t, []string{keep}, after.Finalizers)
	require.Equal(t, "2Gi", after.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	b.pod("one-0", "adopted", func(pod *corev1.Pod) bool { return metav1.IsControlledBy(pod, after) })
	require.Empty(t, b.claim("data-one-0").OwnerReferences)
	b.restarted(pods)
	b.setFinalizers("one", "null")
}

// A StatefulSet as large as they come is recreated, too.
func TestLargeStatefulSetIsRecreated(t *testing.T) {
	b := setup(t)
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline), func(set *appsv1.StatefulSet) {
		set.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("<x>&", 50<<10)}
		set.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "LARGE", Value: strings.Repeat("<x>&", 50<<10)}}
	})
	before := b.statefulSet("one", "there", func(*appsv1.StatefulSet) bool { return true })
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	b.recreated(before, "2Gi")
	b.noIntent("one")
}

// A mark that somebody made up, on a StatefulSet that no request is about, or on
// one that is no database's, has nothing recreated and nothing deleted.
func TestD11_MadeUpMarks(t *testing.T) {
	b := setup(t)
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline))
	before := b.statefulSet("one", "there", func(*appsv1.StatefulSet) bool { return true })
	_, err := b.core.AppsV1().StatefulSets(b.namespace).Patch(b.ctx, "one", types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":["`+updater.Recreate+`"],"labels":{"`+updater.Recreate+`":"made-up"},"annotations":{"`+updater.Recreate+`":"{}"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	// A request takes it for its own, and away.
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}, always))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	after := b.statefulSet("one", "a successor", func(set *appsv1.StatefulSet) bool { return set.UID != before.UID })
	require.Empty(t, after.Finalizers)
	require.Equal(t, before.Labels, maps.Clone(after.Labels))
	require.NotContains(t, after.Annotations, updater.Recreate)
}
