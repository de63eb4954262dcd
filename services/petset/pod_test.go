// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

func newTestSet() *kubedb.PetSet {
	return &kubedb.PetSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "db", UID: "u"},
		Spec: kubedb.PetSetSpec{
			Selector:    &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
			ServiceName: "db-pods",
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "db", "more": "x"}, Annotations: map[string]string{"a": "b"}},
				Spec: corev1.PodSpec{Volumes: []corev1.Volume{
					{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}, {Name: "other"},
				}},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{
				{ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"app": "no", "of": "template"}}},
				{ObjectMeta: metav1.ObjectMeta{Name: "log", Annotations: map[string]string{"c": "d"}}},
			},
		},
	}
}

func TestNewPod(t *testing.T) {
	t.Parallel()
	set := newTestSet()
	pod := newPod(set, 7, "db-hash")
	require.Equal(t, "demo/db-7", pod.Namespace+"/"+pod.Name)
	require.Equal(t, map[string]string{
		"app": "db", "more": "x", "statefulset.kubernetes.io/pod-name": "db-7", "apps.kubernetes.io/pod-index": "7",
		"controller-revision-hash": "db-hash",
	}, pod.Labels)
	require.Equal(t, map[string]string{"a": "b"}, pod.Annotations)
	yes := true
	require.Equal(t, []metav1.OwnerReference{{
		APIVersion: "apps.k8s.appscode.com/v1", Kind: "PetSet", Name: "db", UID: types.UID("u"), Controller: &yes, BlockOwnerDeletion: &yes,
	}}, pod.OwnerReferences)
	require.Equal(t, "db-7.db-pods", pod.Spec.Hostname+"."+pod.Spec.Subdomain)

	var volumes []string
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			volume.Name += "=" + volume.PersistentVolumeClaim.ClaimName
		}
		volumes = append(volumes, volume.Name)
	}
	require.Equal(t, []string{"data=data-db-7", "log=log-db-7", "other"}, volumes)
	require.Equal(t, newTestSet(), set, "the set is not modified")
}

func TestNewClaims(t *testing.T) {
	t.Parallel()
	set := newTestSet()
	claims := newClaims(set, 7)
	require.Len(t, claims, 2)
	require.Equal(t, "data-db-7", claims[0].Name)
	require.Equal(t, map[string]string{"app": "db", "of": "template"}, claims[0].Labels)
	require.Equal(t, "log-db-7", claims[1].Name)
	require.Equal(t, map[string]string{"c": "d"}, claims[1].Annotations)
	require.Empty(t, claims[0].OwnerReferences)
	require.Equal(t, newTestSet(), set, "the set is not modified")
}

func TestRevision(t *testing.T) {
	t.Parallel()
	set := newTestSet()
	revision := Revision(set)
	require.Regexp(t, `^db-[a-z0-9]+$`, revision)

	set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	set.UID = "another"
	require.Equal(t, revision, Revision(set), "only the pod template counts")
	set.Spec.Template.Labels["new"] = "1"
	require.NotEqual(t, revision, Revision(set))

	set.Name = strings.Repeat("x", 80)
	require.LessOrEqual(t, len(Revision(set)), 63)
}

func TestKeyOfAPod(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"db-leaf-10": "demo/db-leaf", "db-0": "demo/db", "db": "", "db-x": "", "-1": "", "7": ""} {
		var got string
		for _, key := range podKey(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name}}) {
			got = key.String()
		}
		require.Equal(t, want, got, name)
	}
	require.Nil(t, podKey("no pod"))
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	require.ErrorContains(t, err, "needs Client and Kubernetes")
}
