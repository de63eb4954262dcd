// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestC09_WhoseAWorkloadIs(t *testing.T) {
	t.Parallel()
	db := &Singlestore{ObjectMeta: metav1.ObjectMeta{Name: "sdb-leaf", UID: "own"}}
	other := &Singlestore{ObjectMeta: metav1.ObjectMeta{Name: "sdb", UID: "other"}}
	controlled := func(by *Singlestore) []metav1.OwnerReference {
		return []metav1.OwnerReference{*metav1.NewControllerRef(by, DatabaseGroupVersion.WithKind(KindSinglestore))}
	}
	notController := controlled(other)
	notController[0].Controller = nil
	cases := []struct {
		name   string
		meta   metav1.ObjectMeta
		reason string
	}{
		{"its own", metav1.ObjectMeta{OwnerReferences: controlled(db)}, ""},
		{"its own, with the labels of another", metav1.ObjectMeta{OwnerReferences: controlled(db), Labels: other.OffshootLabels()}, ""},
		{"another's", metav1.ObjectMeta{OwnerReferences: controlled(other)}, "belongs to Singlestore sdb (uid other)"},
		{"another's, with its labels", metav1.ObjectMeta{OwnerReferences: controlled(other), Labels: db.OffshootLabels()}, "belongs to Singlestore sdb (uid other)"},
		{"of a database of that name that was deleted", metav1.ObjectMeta{OwnerReferences: controlled(&Singlestore{ObjectMeta: metav1.ObjectMeta{Name: "sdb-leaf", UID: "old"}})}, "(uid old)"},
		{"nobody's, with its labels", metav1.ObjectMeta{Labels: db.OffshootLabels()}, ""},
		{"owned and not controlled by another, with its labels", metav1.ObjectMeta{OwnerReferences: notController, Labels: db.OffshootLabels()}, ""},
		{"nobody's, with the labels of another", metav1.ObjectMeta{Labels: other.OffshootLabels()}, `app.kubernetes.io/instance is "sdb"`},
		{"nobody's, without labels", metav1.ObjectMeta{}, `app.kubernetes.io/name is ""`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.meta.Name = "sdb-leaf"
			for _, set := range []*Workload{(&PetSet{ObjectMeta: c.meta}).Workload(), (&StatefulSet{ObjectMeta: c.meta}).Workload()} {
				err := set.CheckOwner(db.Name, db.UID)
				if c.reason == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.reason)
				}
			}
		})
	}
}

func TestC09_WhoseAClaimIs(t *testing.T) {
	t.Parallel()
	set := (&PetSet{Spec: PetSetSpec{Selector: &metav1.LabelSelector{
		MatchLabels:      map[string]string{LabelInstance: "sdb"},
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "of-pods-only", Operator: metav1.LabelSelectorOpExists}},
	}}}).Workload()
	for labels, isOurs := range map[string]bool{
		"": true, LabelInstance + "=sdb": true, LabelInstance + "=sdb,team=a": true, LabelInstance + "=sdb-leaf": false, "team=a": false,
	} {
		parsed, err := metav1.ParseToLabelSelector(labels)
		require.NoError(t, err)
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data-sdb-0", Labels: parsed.MatchLabels}}
		require.Equal(t, isOurs, set.CheckClaim(claim) == nil, labels)
	}
}

func TestC12_WorkloadsWithoutVolumes(t *testing.T) {
	t.Parallel()
	data := []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	replicas := func(n int32) *int32 { return &n }
	for _, c := range []struct {
		name, reason string
		spec         PetSetSpec
	}{
		{"one", "", PetSetSpec{VolumeClaimTemplates: data}},
		{"as many as can be", "", PetSetSpec{VolumeClaimTemplates: data, Replicas: replicas(MaxVolumes)}},
		{"in other clusters", "other clusters", PetSetSpec{VolumeClaimTemplates: data, Distributed: true}},
		{"no claim templates", "no claim templates", PetSetSpec{}},
		{"no replicas", "0 replicas", PetSetSpec{VolumeClaimTemplates: data, Replicas: replicas(0)}},
		{"fewer than none", "0 replicas", PetSetSpec{VolumeClaimTemplates: data, Replicas: replicas(-1)}},
		{"too many", "2147483647 volumes", PetSetSpec{VolumeClaimTemplates: data, Replicas: replicas(1<<31 - 1)}},
		{"claims of an impossible name", "cannot exist", PetSetSpec{VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "../data"}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 1<<31 - 1}
			set := (&PetSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "sdb"}, Spec: c.spec}).Workload()
			require.LessOrEqual(t, len(set.PodNames()), MaxVolumes+1)
			err := set.CheckVolumes()
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.reason)
			require.ErrorContains(t, err, "PetSet demo/sdb")
		})
	}
}

func TestC16_NamesThatNoObjectCanHave(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sdb", "a.b", "x-1", strings.Repeat("x", 253)} {
		require.NoError(t, CheckName(name))
	}
	for _, name := range []string{"", ".", "..", "demo/x", "a%b", "a b", "A", "a\x1bb", strings.Repeat("x", 254), strings.Repeat("/", 400<<10)} {
		err := CheckName(name)
		require.Error(t, err, name)
		require.Less(t, len(err.Error()), 1000)
	}
}
