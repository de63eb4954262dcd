// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

func statefulSet(db *kubedb.Singlestore) *kubedb.StatefulSet {
	return &kubedb.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: db.Namespace, Name: db.Name, UID: "old", ResourceVersion: "7",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(db, kubedb.DatabaseGroupVersion.WithKind(kubedb.KindSinglestore))},
			Labels:          map[string]string{"a": "b", Recreate: "request"}, Finalizers: []string{Recreate},
		},
		Spec: appsv1.StatefulSetSpec{
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
			}}},
		},
	}
}

// D11: an intent is carried out only for a workload that the database names and
// owned, in its namespace.
func TestD11_IntentIsChecked(t *testing.T) {
	t.Parallel()
	db := &kubedb.Singlestore{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "sdb", UID: "database"}}
	for _, c := range []struct {
		name, refusal string
		change        func(*kubedb.StatefulSet, *appsv1.ControllerRevision)
	}{
		{"as it is stored", "", func(*kubedb.StatefulSet, *appsv1.ControllerRevision) {}},
		{"another namespace", "it is for StatefulSet kube-system/sdb", func(set *kubedb.StatefulSet, _ *appsv1.ControllerRevision) { set.Namespace = "kube-system" }},
		{"all in another namespace", "it is for StatefulSet kube-system/sdb", func(set *kubedb.StatefulSet, revision *appsv1.ControllerRevision) {
			set.Namespace, revision.Namespace = "kube-system", "kube-system"
		}},
		{"another name", "it is for StatefulSet demo/other", func(set *kubedb.StatefulSet, _ *appsv1.ControllerRevision) { set.Name = "other" }},
		{"no workload of the database", "has no workload other", func(set *kubedb.StatefulSet, revision *appsv1.ControllerRevision) {
			set.Name, revision.Name = "other", IntentName("other")
		}},
		{"no owner", "did not own", func(set *kubedb.StatefulSet, _ *appsv1.ControllerRevision) { set.OwnerReferences = nil }},
		{"another owner", "did not own", func(set *kubedb.StatefulSet, _ *appsv1.ControllerRevision) { set.OwnerReferences[0].UID = "other" }},
		{"an owner that is no controller", "did not own", func(set *kubedb.StatefulSet, _ *appsv1.ControllerRevision) { set.OwnerReferences[0].Controller = nil }},
		{"a revision of nobody's", "did not own", func(_ *kubedb.StatefulSet, revision *appsv1.ControllerRevision) { revision.OwnerReferences = nil }},
	} {
		set := statefulSet(db)
		next, err := successor(set, mark{})
		require.NoError(t, err)
		revision := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{
			Namespace: "demo", Name: IntentName("sdb"), OwnerReferences: []metav1.OwnerReference{{Kind: kubedb.KindSinglestore, Name: "sdb", UID: "database"}},
		}}
		c.change(next, revision)
		data, err := json.Marshal(next)
		require.NoError(t, err)
		revision.Data = runtime.RawExtension{Raw: data}
		err = readIntent(revision).check(db)
		if c.refusal == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.ErrorIs(t, err, errNotOurs, c.name)
		require.ErrorContains(t, err, c.refusal, c.name)
	}
	require.ErrorIs(t, readIntent(&appsv1.ControllerRevision{}).check(db), errNotOurs)
	require.ErrorIs(t, readIntent(&appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: []byte("no JSON")}}).check(db), errNotOurs)
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	db := &kubedb.Singlestore{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "sdb", UID: "database"}}
	set := statefulSet(db)
	set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType}
	policy := set.Spec.PersistentVolumeClaimRetentionPolicy
	m, err := markFor(set, events.Reference{UID: "request"}, map[string]string{"data": "2Gi", "log": "3Gi"})
	require.NoError(t, err)
	set.Spec.PersistentVolumeClaimRetentionPolicy = retain(policy)

	next, err := successor(set, m)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "b"}, next.Labels)
	require.Empty(t, next.Finalizers)
	require.Empty(t, next.ResourceVersion)
	require.Equal(t, policy, next.Spec.PersistentVolumeClaimRetentionPolicy)
	require.Equal(t, "2Gi", next.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())

	// A user's policy stays, and so does a size that is larger by now.
	theirs := &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: appsv1.DeletePersistentVolumeClaimRetentionPolicyType}
	set.Spec.PersistentVolumeClaimRetentionPolicy = theirs
	raise(&set.Spec.VolumeClaimTemplates[0], "5Gi")
	next, err = successor(set, m)
	require.NoError(t, err)
	require.Equal(t, theirs, next.Spec.PersistentVolumeClaimRetentionPolicy)
	require.Equal(t, "5Gi", next.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
}

// An intent that was written and read says the same.
func TestIntentSaysWhatWasStored(t *testing.T) {
	t.Parallel()
	db := &kubedb.Singlestore{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "sdb", UID: "database"}}
	read := &kubedb.StatefulSet{}
	data, err := json.Marshal(statefulSet(db))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, read))
	read.Annotations = map[string]string{"markup": "<b> & \\u003c"}
	read.ManagedFields = []metav1.ManagedFieldsEntry{entry("gitops", metav1.ManagedFieldsOperationApply, "", `{"f:a<b":{}}`)}
	next, err := successor(read, mark{})
	require.NoError(t, err)
	text, err := compact(next)
	require.NoError(t, err)
	require.Contains(t, string(text), "<b> & ")
	is := readIntent(&appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: text}})
	require.True(t, is.says(next))
	next.Spec.ServiceName = "other"
	require.False(t, is.says(next))
}
