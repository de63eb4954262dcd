// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/events"
)

func TestStageOf(t *testing.T) {
	t.Parallel()
	size := resource.MustParse("11Gi")
	claim := func(capacity string, changes ...func(*corev1.PersistentVolumeClaimStatus)) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}
		if capacity != "" {
			c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(capacity)}
		}
		for _, change := range changes {
			change(&c.Status)
		}
		return c
	}
	allocated := func(to string, status corev1.ClaimResourceStatus) func(*corev1.PersistentVolumeClaimStatus) {
		return func(s *corev1.PersistentVolumeClaimStatus) {
			s.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(to)}
			s.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{corev1.ResourceStorage: status}
		}
	}
	says := func(kind corev1.PersistentVolumeClaimConditionType, message string) func(*corev1.PersistentVolumeClaimStatus) {
		return func(s *corev1.PersistentVolumeClaimStatus) {
			s.Conditions = append(s.Conditions, corev1.PersistentVolumeClaimCondition{Type: kind, Status: corev1.ConditionTrue, Message: message})
		}
	}
	asked := func(c *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
		c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: size}
		return c
	}
	cases := []struct {
		name  string
		claim *corev1.PersistentVolumeClaim
		want  stage
	}{
		{"untouched", claim("10Gi"), stage{name: events.StateRequested}},
		{"grown", claim("11Gi"), stage{name: events.StateGrown}},
		{"grown, in other units", claim("11264Mi"), stage{name: events.StateGrown}},
		{"larger than asked for", claim("12Gi"), stage{name: events.StateGrown}},
		{"grown, with a condition left over", claim("11Gi", says(corev1.PersistentVolumeClaimResizing, "x")), stage{name: events.StateGrown}},
		{"in progress", claim("10Gi", allocated("11Gi", corev1.PersistentVolumeClaimControllerResizeInProgress)), stage{name: "ControllerResizeInProgress"}},
		{"the node's turn", claim("10Gi", allocated("11Gi", corev1.PersistentVolumeClaimNodeResizePending)), stage{name: stageNodePending}},
		{
			"infeasible, in the driver's words",
			claim("10Gi", allocated("11Gi", corev1.PersistentVolumeClaimControllerResizeInfeasible),
				says(corev1.PersistentVolumeClaimResizing, "resizing"), says(corev1.PersistentVolumeClaimControllerResizeError, "no room")),
			stage{name: stageInfeasibleController, message: "no room"},
		},
		{
			"the node's turn, told by conditions alone", // F23, and clusters before KEP-1790
			asked(claim("10Gi", says(corev1.PersistentVolumeClaimResizing, "resizing"), says(corev1.PersistentVolumeClaimFileSystemResizePending, "waiting for a pod"))),
			stage{name: stageNodePending, message: "resizing"},
		},
		{
			"refused by the node, which the resizer has handed back to it", // F25
			claim("10Gi", allocated("11Gi", corev1.PersistentVolumeClaimNodeResizePending),
				says(corev1.PersistentVolumeClaimNodeResizeError, "failed to expand pvc with rpc error: code = OutOfRange desc = too large")),
			stage{name: stageInfeasibleNode, message: "failed to expand pvc with rpc error: code = OutOfRange desc = too large"},
		},
		{
			"an error of the node that may go away",
			claim("10Gi", allocated("11Gi", corev1.PersistentVolumeClaimNodeResizePending),
				says(corev1.PersistentVolumeClaimNodeResizeError, "failed to expand pvc with rpc error: code = Internal desc = busy")),
			stage{name: stageNodePending, message: "failed to expand pvc with rpc error: code = Internal desc = busy"},
		},
		{
			"an earlier growth to less was infeasible",
			claim("10Gi", allocated("10752Mi", corev1.PersistentVolumeClaimControllerResizeInfeasible)),
			stage{name: events.StateRequested},
		},
		{
			"an earlier growth to less waits for its node", // D30
			claim("10Gi", allocated("10752Mi", corev1.PersistentVolumeClaimNodeResizePending), says(corev1.PersistentVolumeClaimFileSystemResizePending, "waiting for a pod")),
			stage{name: stageNodePending, first: "10752Mi", message: "an earlier growth to 10752Mi has to end first: waiting for a pod"},
		},
		{
			"an earlier growth to less is under way in the storage",
			claim("10Gi", allocated("10752Mi", corev1.PersistentVolumeClaimControllerResizeInProgress)),
			stage{name: "ControllerResizeInProgress", first: "10752Mi", message: "an earlier growth to 10752Mi has to end first"},
		},
		{"not bound", claim("", func(s *corev1.PersistentVolumeClaimStatus) { s.Phase = corev1.ClaimPending }), stage{name: events.StateRequested, message: "the claim is Pending"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, stageOf(c.claim, size))
		})
	}
}

// What holds a pod down is judged by what each of its claims needs.
func TestNeedOf(t *testing.T) {
	t.Parallel()
	const less = "10752Mi"
	cases := []struct {
		stage stage
		over  bool
		want  need
	}{
		{stage{name: events.StateRequested}, false, needRelease},
		{stage{name: "ControllerResizeInProgress"}, false, needRelease},
		{stage{name: "ControllerResizeInProgress", first: less}, false, needRelease},
		{stage{name: stageInfeasibleController}, false, needRelease},
		{stage{name: stageInfeasibleController}, true, needNothing},
		{stage{name: stageNodePending}, false, needNode},
		{stage{name: stageNodeInProgress}, false, needNode},
		{stage{name: stageInfeasibleNode}, false, needNode},
		{stage{name: stageNodePending, first: less}, false, needNodeFirst},
		{stage{name: stageNodeInProgress, first: less}, false, needNodeFirst},
		{stage{name: stageInfeasibleNode, first: less}, false, needNodeFirst},
		{stage{name: events.StateGrown}, false, needNothing},
	}
	for _, c := range cases {
		require.Equal(t, c.want, needOf(c.stage, c.over), c.stage)
	}
}

// On clusters before KEP-1790 no status tells of the growth: conditions and
// capacity decide.
func TestStageOfWithoutStatuses(t *testing.T) {
	t.Parallel()
	size := resource.MustParse("11Gi")
	const (
		resizing = corev1.PersistentVolumeClaimResizing
		pending  = corev1.PersistentVolumeClaimFileSystemResizePending
	)
	cases := []struct {
		name       string
		asked      string
		capacity   string
		conditions []corev1.PersistentVolumeClaimConditionType
		want       string
	}{
		{"not asked yet", "10Gi", "10Gi", nil, events.StateRequested},
		{"asked, and nobody has reacted", "11Gi", "10Gi", nil, events.StateRequested},
		{"the driver's turn", "11Gi", "10Gi", []corev1.PersistentVolumeClaimConditionType{resizing}, events.StateRequested},
		{"the node's turn", "11Gi", "10Gi", []corev1.PersistentVolumeClaimConditionType{pending}, stageNodePending},
		{"the node's turn, and it is said to be resized still", "11Gi", "10Gi", []corev1.PersistentVolumeClaimConditionType{resizing, pending}, stageNodePending},
		{"the node's turn for an earlier growth", "10752Mi", "10Gi", []corev1.PersistentVolumeClaimConditionType{pending}, events.StateRequested},
		{"grown", "11Gi", "11Gi", nil, events.StateGrown},
		{"grown to more", "11Gi", "12Gi", nil, events.StateGrown},
		{"grown, with conditions left over", "11Gi", "11Gi", []corev1.PersistentVolumeClaimConditionType{resizing, pending}, events.StateGrown},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storage := func(quantity string) corev1.ResourceList {
				return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(quantity)}
			}
			claim := &corev1.PersistentVolumeClaim{
				Spec:   corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: storage(c.asked)}},
				Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: storage(c.capacity)},
			}
			for _, condition := range c.conditions {
				claim.Status.Conditions = append(claim.Status.Conditions, corev1.PersistentVolumeClaimCondition{Type: condition, Status: corev1.ConditionTrue})
			}
			require.Equal(t, c.want, stageOf(claim, size).name)
		})
	}
}

func TestPodOf(t *testing.T) {
	t.Parallel()
	for claim, want := range map[string]string{
		"data-sdb-leaf-1":        "sdb-leaf-1",
		"log-files-sdb-leaf-12":  "sdb-leaf-12",
		"data-other-leaf-1":      "",
		"sdb-leaf-data-sdb-leaf": "",
	} {
		pod, ok := podOf(claim, "sdb-leaf")
		require.Equal(t, want, pod, claim)
		require.Equal(t, want != "", ok, claim)
	}
}
