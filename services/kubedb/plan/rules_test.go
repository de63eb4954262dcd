// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

func size(text string) *resource.Quantity {
	q := resource.MustParse(text)
	return &q
}

// The rules that need no look at the cluster, in KubeDB's words.
func TestCheckRequest(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		spec   kubedb.SinglestoreOpsRequestSpec
		reason string
	}{
		{"good", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion, VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Leaf: size("11Gi")}}, ""},
		{"unknown type", kubedb.SinglestoreOpsRequestSpec{Type: "Dance"}, ReasonTypeNotSupported},
		{"another type", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeRestart}, ReasonTypeNotSupported},
		{"nothing to expand", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion}, ReasonInvalidRequest},
		{"node and leaf", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion, VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Node: size("2Gi"), Leaf: size("11Gi")}}, ReasonInvalidRequest},
		{"zero", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion, VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Leaf: size("0")}}, ReasonInvalidRequest},
		{"negative", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion, VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Leaf: size("-1")}}, ReasonInvalidRequest},
		{"no mode", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion, VolumeExpansion: &kubedb.VolumeExpansion{Leaf: size("11Gi")}}, ReasonModeNotSupported},
		{"offline", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion, VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOffline, Leaf: size("11Gi")}}, ""},
		{"no time", kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion, Timeout: &metav1.Duration{Duration: -time.Second}, VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Leaf: size("11Gi")}}, ReasonInvalidRequest},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			requireReason(t, c.reason, checkRequest(&kubedb.SinglestoreOpsRequest{Spec: c.spec}))
		})
	}
}

// What is written into a request is checked before it is asked for, and what is
// said of it is short however long it is.
func TestC16_CheckRequest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", 400<<10)
	cases := []struct {
		name   string
		change func(*kubedb.SinglestoreOpsRequest)
		field  string
	}{
		{"a name", func(*kubedb.SinglestoreOpsRequest) {}, ""},
		{"a path", func(r *kubedb.SinglestoreOpsRequest) { r.Spec.DatabaseRef.Name = "demo/x" }, "spec.databaseRef.name"},
		{"a way up", func(r *kubedb.SinglestoreOpsRequest) { r.Spec.DatabaseRef.Name = ".." }, "spec.databaseRef.name"},
		{"an escape", func(r *kubedb.SinglestoreOpsRequest) { r.Spec.DatabaseRef.Name = "a%b" }, "spec.databaseRef.name"},
		{"a long name", func(r *kubedb.SinglestoreOpsRequest) { r.Spec.DatabaseRef.Name = long }, "spec.databaseRef.name"},
		{"a long size", func(r *kubedb.SinglestoreOpsRequest) { r.Spec.VolumeExpansion.Leaf = size("-" + long) }, "spec.volumeExpansion.leaf"},
		{"a long mode", func(r *kubedb.SinglestoreOpsRequest) { r.Spec.VolumeExpansion.Mode = kubedb.VolumeExpansionMode(long) }, "spec.volumeExpansion.mode"},
		{"a long apply", func(r *kubedb.SinglestoreOpsRequest) { r.Spec.Apply = kubedb.ApplyOption(long) }, "spec.apply"},
		{"a long type", func(r *kubedb.SinglestoreOpsRequest) { r.Spec.Type = kubedb.OpsRequestType(long) }, "spec.type"},
		{"a long annotation", func(r *kubedb.SinglestoreOpsRequest) {
			r.Annotations = map[string]string{kubedb.AnnotationInfeasible: long}
		}, "metadata.annotations[" + kubedb.AnnotationInfeasible + "]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			request := &kubedb.SinglestoreOpsRequest{Spec: kubedb.SinglestoreOpsRequestSpec{
				DatabaseRef: corev1.LocalObjectReference{Name: "sdb"}, Type: kubedb.TypeVolumeExpansion,
				VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Leaf: size("11Gi")},
			}}
			c.change(request)
			// Nobody is asked about what is refused: there are no clients.
			if c.field == "" {
				require.NoError(t, checkRequest(request))
				return
			}
			made, err := (&Planner{}).Make(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, Blocked, made.Verdict)
			require.Equal(t, c.field, made.Refusal().Field)
			require.Less(t, len(made.Refusal().Error()), 3000)
		})
	}
}

func TestCheckThePolicyForInfeasibleSizes(t *testing.T) {
	t.Parallel()
	for policy, reason := range map[string]string{"fail": "", "recover": "", "": ReasonInvalidRequest, "Recover": ReasonInvalidRequest, "retry": ReasonInvalidRequest} {
		request := &kubedb.SinglestoreOpsRequest{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{kubedb.AnnotationInfeasible: policy}},
			Spec:       kubedb.SinglestoreOpsRequestSpec{Type: kubedb.TypeVolumeExpansion, VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Leaf: size("11Gi")}},
		}
		requireReason(t, reason, checkRequest(request))
	}
}

func TestCheckSizes(t *testing.T) {
	t.Parallel()
	claim := func(size string) *corev1.PersistentVolumeClaimSpec {
		return &corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
		}}
	}
	cluster := kubedb.SinglestoreSpec{Topology: &kubedb.Topology{Aggregator: &kubedb.Node{Storage: claim("1Gi")}, Leaf: &kubedb.Node{Storage: claim("10Gi")}}}
	standalone := kubedb.SinglestoreSpec{Storage: claim("1Gi")}
	cases := []struct {
		name      string
		database  kubedb.SinglestoreSpec
		expansion kubedb.VolumeExpansion
		reason    string
		grows     []string // component from->to
	}{
		{"both", cluster, kubedb.VolumeExpansion{Leaf: size("11Gi"), Aggregator: size("2Gi")}, "", []string{"aggregator 1Gi->2Gi", "leaf 10Gi->11Gi"}},
		{"one", cluster, kubedb.VolumeExpansion{Leaf: size("11Gi")}, "", []string{"leaf 10Gi->11Gi"}},
		{"a byte more", cluster, kubedb.VolumeExpansion{Leaf: size("10737418241")}, "", []string{"leaf 10Gi->10737418241"}},
		{"node", standalone, kubedb.VolumeExpansion{Node: size("2Gi")}, "", []string{"node 1Gi->2Gi"}},
		{"equal", cluster, kubedb.VolumeExpansion{Leaf: size("10Gi")}, ReasonSizeNotGreater, nil},
		{"equal in bytes", cluster, kubedb.VolumeExpansion{Leaf: size("10737418240")}, ReasonSizeNotGreater, nil},
		{"decimal is less than binary", cluster, kubedb.VolumeExpansion{Leaf: size("10G")}, ReasonSizeNotGreater, nil},
		{"one of two shrinks", cluster, kubedb.VolumeExpansion{Leaf: size("11Gi"), Aggregator: size("512Mi")}, ReasonSizeNotGreater, nil},
		{"node of a cluster", cluster, kubedb.VolumeExpansion{Node: size("11Gi")}, ReasonInvalidRequest, nil},
		{"leaf of a standalone", standalone, kubedb.VolumeExpansion{Leaf: size("11Gi")}, ReasonInvalidRequest, nil},
		{"ephemeral", kubedb.SinglestoreSpec{StorageType: kubedb.StorageEphemeral}, kubedb.VolumeExpansion{Node: size("2Gi")}, ReasonNoStorage, nil},
		{"no storage", kubedb.SinglestoreSpec{}, kubedb.VolumeExpansion{Node: size("2Gi")}, ReasonNoStorage, nil},
		{"storage without a size", kubedb.SinglestoreSpec{Storage: &corev1.PersistentVolumeClaimSpec{}}, kubedb.VolumeExpansion{Node: size("2Gi")}, ReasonNoStorage, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			components, err := checkSizes(&kubedb.Singlestore{Spec: c.database}, &kubedb.SinglestoreOpsRequest{
				Spec: kubedb.SinglestoreOpsRequestSpec{VolumeExpansion: &c.expansion},
			})
			requireReason(t, c.reason, err)
			var grows []string
			for _, component := range components {
				grows = append(grows, component.Name+" "+component.From+"->"+component.To)
			}
			require.Equal(t, c.grows, grows)
		})
	}
}

func requireReason(t *testing.T, reason string, err error) {
	t.Helper()
	if reason == "" {
		require.NoError(t, err)
		return
	}
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, reason, refusal.Reason, refusal.Message)
	require.NotEmpty(t, refusal.Field)
}
