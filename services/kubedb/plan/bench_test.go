// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// The planner's judgement, without the API's answers that it waits for.

func BenchmarkRules(b *testing.B) {
	storage := func(text string) *corev1.PersistentVolumeClaimSpec {
		return &corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: *size(text)},
		}}
	}
	db := &kubedb.Singlestore{Spec: kubedb.SinglestoreSpec{Topology: &kubedb.Topology{
		Aggregator: &kubedb.Node{Storage: storage("1Gi")}, Leaf: &kubedb.Node{Storage: storage("10Gi")},
	}}}
	request := growth(0)
	b.ReportAllocs()
	for b.Loop() {
		if err := checkRequest(request); err != nil {
			b.Fatal(err)
		}
		if components, err := checkSizes(db, request); err != nil || len(components) != 2 {
			b.Fatal(components, err)
		}
	}
}

// A thousand requests for one database is more than anybody has.
func BenchmarkPlaceOf(b *testing.B) {
	var all []*kubedb.SinglestoreOpsRequest
	for i := range 1000 {
		all = append(all, growth(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		PlaceOf(all[500], all)
	}
}

func growth(i int) *kubedb.SinglestoreOpsRequest {
	request := &kubedb.SinglestoreOpsRequest{Spec: kubedb.SinglestoreOpsRequestSpec{
		Type: kubedb.TypeVolumeExpansion, DatabaseRef: corev1.LocalObjectReference{Name: "sdb"},
		VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Aggregator: size("2Gi"), Leaf: size("11Gi")},
	}}
	request.Name, request.UID = fmt.Sprintf("grow-%d", i), types.UID(fmt.Sprint(i))
	return request
}
