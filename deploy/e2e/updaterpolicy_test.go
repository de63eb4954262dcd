// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	machinery "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/runtime"
	"github.com/opsrelay/opsrelay/updater"
)

// asUpdater are clients with the updater's identity.
func (b *bundle) asUpdater() runtime.Clients {
	b.Helper()
	clients, err := runtime.NewClients(runtime.ServiceConfig(b.stack.Cluster.Config(), "updater", "system:serviceaccount:opsrelay:updater"))
	require.NoError(b, err)
	return clients
}

// forgedIntent is an intent to recreate the StatefulSet of the database.
func (b *bundle) forgedIntent(db *kubedb.Singlestore, set *appsv1.StatefulSet) *appsv1.ControllerRevision {
	b.Helper()
	set = set.DeepCopy()
	set.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}
	data, err := json.Marshal(set)
	require.NoError(b, err)
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: updater.IntentName(set.Name), Labels: map[string]string{updater.Recreate: "forged"},
			Annotations:     map[string]string{updater.Recreate: `{"request":{"kind":"SinglestoreOpsRequest","namespace":"` + b.namespace + `","name":"forged","uid":"forged"}}`},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: kubedb.DatabaseGroupVersion.String(), Kind: kubedb.KindSinglestore, Name: db.Name, UID: db.UID}},
		},
		Data: machinery.RawExtension{Raw: data}, Revision: 1,
	}
}

// D11, D14: with the updater's token nobody does what is near to its work and is
// not its work. Every neighbouring wrong is refused by policy, not by rights.
func TestD11_D14_TheUpdaterIsConfined(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.createOnStatefulSets(fixture.Standalone("one", fixture.ClassOnline), func(set *appsv1.StatefulSet) { set.Finalizers = []string{keep} })
	b.checker.Excuse("one")
	db, err := b.client.Singlestores(b.namespace).Get(b.ctx, "one", metav1.GetOptions{})
	require.NoError(t, err)
	set := b.statefulSet("one", "there", func(*appsv1.StatefulSet) bool { return true })
	plain := stack.StatefulSet(db, db.Components()[0])
	plain.Name, plain.OwnerReferences = "plain", nil
	replicas := int32(0)
	plain.Spec.Replicas = &replicas
	plain, err = b.core.AppsV1().StatefulSets(b.namespace).Create(b.ctx, plain, metav1.CreateOptions{})
	require.NoError(t, err)
	system, err := b.core.CoreV1().Namespaces().Get(b.ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	require.NoError(t, err)
	stranger, err := b.core.CoreV1().Pods(metav1.NamespaceSystem).Create(b.ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: system.Name, UID: system.UID}}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "c"}}, SchedulerName: "nobody"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	updaters := b.asUpdater()
	sets, revisions := updaters.Core.AppsV1().StatefulSets(b.namespace), updaters.Core.AppsV1().ControllerRevisions(b.namespace)
	pods, claims := updaters.Core.CoreV1().Pods(b.namespace), updaters.Core.CoreV1().PersistentVolumeClaims(b.namespace)
	merge := func(text string) []byte { return []byte(text) }
	patchSet := func(name, patch string) func() error {
		return func() error {
			_, err := sets.Patch(b.ctx, name, types.MergePatchType, merge(patch), metav1.PatchOptions{})
			return err
		}
	}
	patchPod := func(patch string) func() error {
		return func() error {
			_, err := pods.Patch(b.ctx, "one-0", types.MergePatchType, merge(patch), metav1.PatchOptions{})
			return err
		}
	}
	patchClaim := func(patch string) func() error {
		return func() error {
			_, err := claims.Patch(b.ctx, "data-one-0", types.MergePatchType, merge(patch), metav1.PatchOptions{})
			return err
		}
	}
	patchDatabase := func(name, patch string) func() error {
		return func() error {
			_, err := updaters.KubeDB.Singlestores(b.namespace).Patch(b.ctx, name, types.MergePatchType, merge(patch), metav1.PatchOptions{})
			return err
		}
	}
	patchPetSet := func(patch string) func() error {
		return func() error {
			_, err := updaters.KubeDB.PetSets(b.namespace).Patch(b.ctx, "sdb-leaf", types.JSONPatchType, merge(patch), metav1.PatchOptions{})
			return err
		}
	}
	create := func(change func(*appsv1.StatefulSet)) func() error {
		return func() error {
			other := set.DeepCopy()
			other.ObjectMeta = metav1.ObjectMeta{Name: "other", Namespace: b.namespace, Labels: map[string]string{updater.Recreate: "forged"}, OwnerReferences: set.OwnerReferences}
			change(other)
			_, err := updaters.Core.AppsV1().StatefulSets(other.Namespace).Create(b.ctx, other, metav1.CreateOptions{})
			return err
		}
	}
	intend := func(change func(*appsv1.StatefulSet)) func() error {
		return func() error {
			next := set.DeepCopy()
			change(next)
			_, err := revisions.Create(b.ctx, b.forgedIntent(db, next), metav1.CreateOptions{})
			return err
		}
	}
	remove := func(name string, propagation metav1.DeletionPropagation) func() error {
		return func() error {
			return sets.Delete(b.ctx, name, metav1.DeleteOptions{PropagationPolicy: &propagation, Preconditions: &metav1.Preconditions{UID: &set.UID}})
		}
	}
	mark := `"labels":{"` + updater.Recreate + `":"forged"},"annotations":{"` + updater.Recreate + `":"{}"}`
	type wrong struct {
		name string
		do   func() error
	}
	refused := func(wrongs ...wrong) {
		t.Helper()
		for _, wrong := range wrongs {
			if err := wrong.do(); err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'opsrelay-") {
				t.Errorf("%s: not refused by a policy: %v", wrong.name, err)
			}
		}
	}
	refused(
		wrong{"another image", func() error {
			_, err := sets.Patch(b.ctx, "one", types.StrategicMergePatchType, merge(`{"spec":{"template":{"spec":{"containers":[{"name":"singlestore","image":"evil"}]}}}}`), metav1.PatchOptions{})
			return err
		}},
		wrong{"replicas", patchSet("one", `{"spec":{"replicas":0}}`)},
		wrong{"a label of others", patchSet("one", `{"metadata":{"labels":{"app.kubernetes.io/instance":"two"}}}`)},
		wrong{"an annotation of others", patchSet("one", `{"metadata":{"annotations":{"a":"b"}}}`)},
		wrong{"a finalizer of others", patchSet("one", `{"metadata":{"finalizers":[]}}`)},
		wrong{"owners", patchSet("one", `{"metadata":{"ownerReferences":[]}}`)},
		wrong{"one that is no database's is marked", patchSet("plain", `{"metadata":{"finalizers":["`+updater.Recreate+`"],`+mark+`}}`)},
		wrong{"one that is not marked is deleted", remove("one", metav1.DeletePropagationOrphan)},
		wrong{"one without an intent is created", create(func(*appsv1.StatefulSet) {})},
		wrong{"without a label", create(func(next *appsv1.StatefulSet) { next.Labels = nil })},
		wrong{"without an owner", create(func(next *appsv1.StatefulSet) { next.OwnerReferences = nil })},
		wrong{"in kube-system", create(func(next *appsv1.StatefulSet) { next.Namespace = metav1.NamespaceSystem })},
		wrong{"in the relay's namespace", create(func(next *appsv1.StatefulSet) { next.Namespace = "opsrelay" })},
		wrong{"an intent for one that is not marked", intend(func(*appsv1.StatefulSet) {})},
		wrong{"a revision that is no intent", func() error {
			_, err := revisions.Create(b.ctx, &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "one-forged"}, Data: machinery.RawExtension{Raw: []byte("{}")}, Revision: 7}, metav1.CreateOptions{})
			return err
		}},
		wrong{"a StatefulSet's own revision is deleted", func() error { return revisions.Delete(b.ctx, set.Status.UpdateRevision, metav1.DeleteOptions{}) }},
		wrong{"a pod's label", patchPod(`{"metadata":{"labels":{"a":"b"}}}`)},
		wrong{"a pod's finalizer", patchPod(`{"metadata":{"finalizers":["a.b/c"]}}`)},
		wrong{"a pod's deadline", patchPod(`{"spec":{"activeDeadlineSeconds":1}}`)},
		wrong{"a pod's owner", patchPod(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"gone","uid":"gone"}]}}`)},
		wrong{"a pod's image", func() error {
			_, err := pods.Patch(b.ctx, "one-0", types.StrategicMergePatchType, merge(`{"spec":{"containers":[{"name":"singlestore","image":"evil"}]}}`), metav1.PatchOptions{})
			return err
		}},
		wrong{"a pod in kube-system", func() error {
			_, err := updaters.Core.CoreV1().Pods(metav1.NamespaceSystem).Patch(b.ctx, stranger.Name, types.MergePatchType, merge(`{"metadata":{"ownerReferences":[]}}`), metav1.PatchOptions{})
			return err
		}},
		wrong{"a claim's size", patchClaim(`{"spec":{"resources":{"requests":{"storage":"100Gi"}}}}`)},
		wrong{"a claim's annotation", patchClaim(`{"metadata":{"annotations":{"a":"b"}}}`)},
		wrong{"a database's license", patchDatabase("sdb", `{"spec":{"licenseSecret":{"name":"mine"}}}`)},
		wrong{"a database's label", patchDatabase("sdb", `{"metadata":{"labels":{"a":"b"}}}`)},
		wrong{"a database's replicas", patchDatabase("sdb", `{"spec":{"topology":{"leaf":{"replicas":1}}}}`)},
		wrong{"a smaller database", patchDatabase("sdb", `{"spec":{"topology":{"leaf":{"storage":{"resources":{"requests":{"storage":"1Gi"}}}}}}}`)},
		wrong{"a smaller one of one node", patchDatabase("one", `{"spec":{"storage":{"resources":{"requests":{"storage":"1Mi"}}}}}`)},
		wrong{"another storage class", patchDatabase("one", `{"spec":{"storage":{"storageClassName":"fast"}}}`)},
		wrong{"a PetSet's image", patchPetSet(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"evil"}]`)},
		wrong{"a PetSet's replicas", patchPetSet(`[{"op":"replace","path":"/spec/replicas","value":1}]`)},
		wrong{"a PetSet's smaller claims", patchPetSet(`[{"op":"replace","path":"/spec/volumeClaimTemplates/0/spec/resources/requests/storage","value":"1Gi"}]`)},
		wrong{"a PetSet's storage class", patchPetSet(`[{"op":"replace","path":"/spec/volumeClaimTemplates/0/spec/storageClassName","value":"fast"}]`)},
	)

	// One that is marked may go, without its pods, and its intent has its pods.
	require.NoError(t, patchSet("one", `{"metadata":{"finalizers":["`+keep+`","`+updater.Recreate+`"],`+mark+`}}`)())
	require.Eventually(t, func() bool { return intend(func(*appsv1.StatefulSet) {})() == nil }, patience, 50*time.Millisecond)
	require.NoError(t, revisions.Delete(b.ctx, updater.IntentName("one"), metav1.DeleteOptions{}))
	refused(
		wrong{"with its pods", remove("one", metav1.DeletePropagationBackground)},
		wrong{"an intent for other pods", intend(func(next *appsv1.StatefulSet) { next.Spec.Template.Spec.Containers[0].Image = "evil" })},
		wrong{"an intent for privileged pods", intend(func(next *appsv1.StatefulSet) {
			yes := true
			next.Spec.Template.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
		})},
		wrong{"an intent for another's pods", intend(func(next *appsv1.StatefulSet) { next.UID = plain.UID })},
		wrong{"an intent for smaller volumes", intend(func(next *appsv1.StatefulSet) { *next = *shrunk(next) })},
		wrong{"an intent for another namespace", intend(func(next *appsv1.StatefulSet) { next.Namespace = metav1.NamespaceSystem })},
	)

	// Nobody else stores one, however much he may.
	_, err = b.core.AppsV1().ControllerRevisions(b.namespace).Create(b.ctx, b.forgedIntent(db, set), metav1.CreateOptions{})
	require.ErrorContains(t, err, "only the updater stores intents")
	forged := b.forgedIntent(db, set)
	forged.Labels = nil
	_, err = b.core.AppsV1().ControllerRevisions(b.namespace).Create(b.ctx, forged, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = b.core.AppsV1().ControllerRevisions(b.namespace).Patch(b.ctx, forged.Name, types.MergePatchType, merge(`{"metadata":{"labels":{"`+updater.Recreate+`":"forged"}}}`), metav1.PatchOptions{})
	require.ErrorContains(t, err, "only the updater stores intents")
	_, err = b.core.AppsV1().StatefulSets(b.namespace).Get(b.ctx, "other", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err))
	b.setFinalizers("one", "null")
}

// shrunk is the StatefulSet with smaller volumes.
func shrunk(set *appsv1.StatefulSet) *appsv1.StatefulSet {
	set = set.DeepCopy()
	set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests = fixture.Storage(fixture.ClassOnline, "1Mi").Resources.Requests
	return set
}
