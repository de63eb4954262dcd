// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

func parse(t *testing.T, text string) *kubedb.Singlestore {
	t.Helper()
	db := &kubedb.Singlestore{}
	require.NoError(t, json.Unmarshal([]byte(text), db))
	return db
}

func newController() *Controller {
	cfg := Config{Images: map[string]string{"8.9.3": "singlestore:8.9.3"}}
	cfg.setDefaults()
	return &Controller{cfg: cfg}
}

const leafOnly = `{"metadata":{"namespace":"demo","name":"sdb","uid":"u"},"spec":{"version":"8.9.3","licenseSecret":{"name":"license"},
  "topology":{"leaf":{"storage":{"storageClassName":"fast","resources":{"requests":{"storage":"1Gi"}}},
    "podTemplate":{"metadata":{"labels":{"a":"b","kubedb.com/petset":"stolen"}},"controller":{"annotations":{"c":"d"}},
      "spec":{"nodeSelector":{"disk":"ssd"},"containers":[
        {"name":"singlestore","image":"mine","args":["-v"],"resources":{"requests":{"memory":"1Gi"}}},{"name":"sidecar"}]}}}}}}`

func TestNewPetSet(t *testing.T) {
	t.Parallel()
	db := parse(t, leafOnly)
	set := newController().newPetSet(db, db.Components()[0])
	require.Equal(t, "sdb-leaf", set.Name)
	require.EqualValues(t, 2, *set.Spec.Replicas)
	require.Equal(t, "sdb-pods", set.Spec.ServiceName)
	require.Equal(t, map[string]string{"c": "d"}, set.Annotations)
	require.Equal(t, db.ComponentSelectors("leaf"), set.Spec.Selector.MatchLabels)
	require.Subset(t, set.Spec.Template.Labels, set.Spec.Selector.MatchLabels)
	require.Equal(t, "b", set.Spec.Template.Labels["a"])

	pod := set.Spec.Template.Spec
	require.Equal(t, map[string]string{"disk": "ssd"}, pod.NodeSelector)
	var names []string
	for _, container := range pod.Containers {
		names = append(names, container.Name)
	}
	require.Equal(t, []string{"singlestore", "singlestore-coordinator", "sidecar"}, names)
	require.Equal(t, "singlestore:8.9.3", pod.Containers[0].Image)
	require.Equal(t, []string{"-v"}, pod.Containers[0].Args)
	require.Empty(t, pod.Volumes)

	claim := set.Spec.VolumeClaimTemplates[0]
	require.Equal(t, "data", claim.Name)
	require.Equal(t, "fast", *claim.Spec.StorageClassName)
	require.Equal(t, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, claim.Spec.AccessModes)
}

func TestEphemeralStorageHasNoClaims(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{`{}`, `{"storageType":"Ephemeral","storage":{"resources":{"requests":{"storage":"1Gi"}}}}`} {
		db := parse(t, `{"metadata":{"name":"sdb"},"spec":`+spec+`}`)
		set := newController().newPetSet(db, db.Components()[0])
		require.Empty(t, set.Spec.VolumeClaimTemplates)
		require.NotNil(t, set.Spec.Template.Spec.Volumes[0].EmptyDir)
		require.Equal(t, DefaultImage, set.Spec.Template.Spec.Containers[0].Image)
		require.Len(t, set.Spec.Template.Spec.Containers, 1)
	}
}

func TestPetSetPatch(t *testing.T) {
	t.Parallel()
	db := parse(t, leafOnly)
	wanted := newController().newPetSet(db, db.Components()[0])
	tests := []struct {
		name   string
		change func(*kubedb.PetSet)
		want   string
	}{
		{"the same", func(*kubedb.PetSet) {}, ``},
		{"somebody's annotations and labels", func(s *kubedb.PetSet) {
			s.Labels["x"] = "y"
			s.Spec.Template.Annotations = map[string]string{"restartedAt": "noon"}
		}, ``},
		{"larger template", func(s *kubedb.PetSet) {
			s.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("2Gi")
		}, ``},
		{"another template of somebody's", func(s *kubedb.PetSet) {
			s.Spec.VolumeClaimTemplates[0].Name = "other"
			s.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("1Mi")
		}, ``},
		{"replicas", func(s *kubedb.PetSet) { *s.Spec.Replicas = 9 }, `{"metadata":{"resourceVersion":"7"},"spec":{"replicas":2}}`},
		{"label of the pods", func(s *kubedb.PetSet) { delete(s.Spec.Template.Labels, "a") },
			`{"metadata":{"resourceVersion":"7"},"spec":{"template":{"metadata":{"labels":{"a":"b"}}}}}`},
		{"account of the pods", func(s *kubedb.PetSet) { s.Spec.Template.Spec.ServiceAccountName = "root" },
			`{"metadata":{"resourceVersion":"7"},"spec":{"template":{"spec":{"serviceAccountName":"sdb"}}}}`},
		{"smaller template", func(s *kubedb.PetSet) {
			s.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("1Mi")
		}, `{"metadata":{"resourceVersion":"7"},"spec":{"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{
		  "accessModes":["ReadWriteOnce"],"storageClassName":"fast","resources":{"requests":{"storage":"1Gi"}}},"status":{}}]}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			existing := wanted.DeepCopy()
			existing.ResourceVersion = "7"
			test.change(existing)
			patch, err := petSetPatch(existing, wanted)
			require.NoError(t, err)
			if test.want == "" {
				require.Empty(t, string(patch))
				return
			}
			require.JSONEq(t, test.want, string(patch))
		})
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	services := newServices(parse(t, `{"metadata":{"name":"sdb"},"spec":{"topology":{"aggregator":{},"leaf":{}}}}`))
	primary, governing := services[0], services[1]
	require.Equal(t, "sdb", primary.Name)
	require.Equal(t, "aggregator", primary.Spec.Selector["kubedb.com/petset"])
	require.EqualValues(t, 3306, primary.Spec.Ports[0].Port)
	require.EqualValues(t, 8081, primary.Spec.Ports[1].Port)
	require.Equal(t, "sdb-pods", governing.Name)
	require.NotContains(t, governing.Spec.Selector, "kubedb.com/petset")
	require.True(t, governing.Spec.PublishNotReadyAddresses)
}
