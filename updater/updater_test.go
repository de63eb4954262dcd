// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

func TestDatabasePatch(t *testing.T) {
	t.Parallel()
	node := func(size string) *kubedb.Node {
		return &kubedb.Node{Storage: &corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
		}}}
	}
	db := &kubedb.Singlestore{
		ObjectMeta: metav1.ObjectMeta{Name: "sdb", ResourceVersion: "7"},
		Spec:       kubedb.SinglestoreSpec{Topology: &kubedb.Topology{Aggregator: node("1Gi"), Leaf: node("10Gi")}},
	}
	cases := []struct {
		name       string
		components []events.Component
		want       string
	}{
		{"both", []events.Component{{Name: "aggregator", To: "2Gi"}, {Name: "leaf", To: "11Gi"}}, `{"metadata":{"resourceVersion":"7"},"spec":{"topology":{
			"aggregator":{"storage":{"resources":{"requests":{"storage":"2Gi"}}}},"leaf":{"storage":{"resources":{"requests":{"storage":"11Gi"}}}}}}}`},
		{"one", []events.Component{{Name: "leaf", To: "11Gi"}}, `{"metadata":{"resourceVersion":"7"},"spec":{"topology":{"leaf":{"storage":{"resources":{"requests":{"storage":"11Gi"}}}}}}}`},
		{"what all volumes have", []events.Component{{Name: "leaf", To: "20Gi", Shared: []events.Shared{{Template: "data", Size: "12Gi"}, {Template: "log", Size: "13Gi"}}}},
			`{"metadata":{"resourceVersion":"7"},"spec":{"topology":{"leaf":{"storage":{"resources":{"requests":{"storage":"12Gi"}}}}}}}`},
		{"nothing that all volumes have", []events.Component{{Name: "leaf", To: "20Gi", Shared: []events.Shared{{Template: "data", Size: "20Gi"}, {Template: "log", Size: "5Gi"}}}}, ""},
		{"there already", []events.Component{{Name: "leaf", To: "10Gi"}}, ""},
		{"raised by somebody meanwhile", []events.Component{{Name: "leaf", To: "9Gi"}}, ""},
		{"unknown component", []events.Component{{Name: "node", To: "11Gi"}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			patch, err := databasePatch(db, c.components)
			require.NoError(t, err)
			if c.want == "" {
				require.Nil(t, patch)
				return
			}
			require.JSONEq(t, c.want, string(patch))
		})
	}
	_, err := databasePatch(db, []events.Component{{Name: "leaf", To: "much"}})
	require.ErrorContains(t, err, `size "much"`)
}
