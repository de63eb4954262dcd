// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

const (
	infeasible  = corev1.PersistentVolumeClaimControllerResizeInfeasible
	inProgress  = corev1.PersistentVolumeClaimControllerResizeInProgress
	nodeRefused = corev1.PersistentVolumeClaimNodeResizeInfeasible
)

// state is a claim as its growth left it.
type state struct {
	asked, capacity, allocated string
	status                     corev1.ClaimResourceStatus
	by                         string // the request that raised it last
}

func (s state) claim(name string) *corev1.PersistentVolumeClaim {
	storage := func(size string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name, Annotations: map[string]string{kubedb.AnnotationExpandedFor: s.by}},
		Spec:       corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: storage(s.asked)}},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: storage(s.capacity)},
	}
	if s.status != "" {
		claim.Status.AllocatedResources = storage(s.allocated)
		claim.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{corev1.ResourceStorage: s.status}
	}
	return claim
}

// running is the growth of the leaves to 11Gi, for the request "u".
func running(t *testing.T, policy events.Infeasible) *growth {
	t.Helper()
	core, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:0"})
	require.NoError(t, err)
	claims, err := NewClaims(core, "")
	require.NoError(t, err)
	x := New(nil, core, claims, nil, func(context.Context, events.ChainKey, events.Progress) {})
	e := events.Event{Operation: events.Operation{
		Request: events.Reference{UID: "u"}, Database: events.Reference{Namespace: "demo"}, Infeasible: policy,
	}}
	return newGrowth(x, e, events.Component{Name: "leaf", Workload: "sdb-leaf", To: "11Gi"}, resource.MustParse("11Gi"))
}

// What a claim's status says is judged the same whoever asks, so that it goes on
// after a crash between any two writes.
func TestWhoseInfeasibleItIs(t *testing.T) {
	t.Parallel()
	const smallest = "10737418241" // than which the API takes no less: a byte more than 10Gi
	cases := []struct {
		name    string
		state   state
		refused bool // with either policy
		back    bool // it was taken back: refused if the request recovers
		over    bool // nothing is left to do if the request recovers
		again   bool // the storage is asked again
	}{
		{"not asked yet", state{"10Gi", "10Gi", "", "", ""}, false, false, false, false},
		{"in progress", state{"11Gi", "10Gi", "11Gi", inProgress, "u"}, false, false, false, false},
		{"ours", state{"11Gi", "10Gi", "11Gi", infeasible, "u"}, true, false, false, false},
		{"of an earlier request for the same", state{"11Gi", "10Gi", "11Gi", infeasible, "earlier"}, false, false, false, true},
		{"of a user's own request for the same", state{"11Gi", "10Gi", "11Gi", infeasible, ""}, false, false, false, true},
		{"of an earlier request for more", state{"20Gi", "10Gi", "20Gi", infeasible, "earlier"}, false, false, false, true},
		{"lowered by us, and not looked at yet", state{"11Gi", "10Gi", "20Gi", infeasible, "u"}, false, false, false, false},
		{"a byte less in between, and not looked at yet", state{"11811160063", "10Gi", "11Gi", infeasible, "earlier"}, false, false, false, false},
		{"a byte is all that is missing", state{"11Gi", "11811160063", "11Gi", infeasible, "u"}, true, false, true, false},
		{"taken back, and not looked at yet", state{smallest, "10Gi", "11Gi", infeasible, "u"}, false, true, false, false},
		{"taken back, on its way", state{smallest, "10Gi", smallest, inProgress, "u"}, false, true, false, false},
		{"taken back", state{smallest, smallest, "", "", "u"}, false, true, true, false},
		{"taken back, and that is too much as well", state{smallest, "10Gi", smallest, infeasible, "u"}, false, true, true, false},
		{"the node's, from before", state{"11Gi", "10Gi", "11Gi", nodeRefused, "u"}, false, false, false, false}, // D31
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claim := c.state.claim("data-sdb-leaf-0")
			for _, policy := range []events.Infeasible{"", events.InfeasibleFail, events.InfeasibleRecover} {
				g, recovers := running(t, policy), policy == events.InfeasibleRecover
				stage := stageOf(claim, g.size)
				require.Equal(t, c.refused || c.back && recovers, g.refuses(claim, stage), policy)
				require.Equal(t, c.over && recovers, g.over(claim, stage), policy)
				if !g.refuses(claim, stage) && stage.name == stageInfeasibleController {
					require.Equal(t, c.again, g.askAnew(claim) != nil, policy)
				} else {
					require.False(t, c.again, policy)
				}
			}
		})
	}
}

// D31: a node's refusal counts once it was seen to refuse, whoever asked and for
// whatever size: the status stays for a while when the node tries again.
func TestANodesRefusalIsSeen(t *testing.T) {
	t.Parallel()
	for _, allocated := range []string{"11Gi", "10752Mi"} {
		g := running(t, events.InfeasibleRecover)
		see := func(before, after corev1.ClaimResourceStatus) *corev1.PersistentVolumeClaim {
			claim := state{"11Gi", "10Gi", allocated, after, "earlier"}.claim("data-sdb-leaf-0")
			g.claims.countRefusal(state{"11Gi", "10Gi", allocated, before, "earlier"}.claim("data-sdb-leaf-0"), claim)
			return claim
		}
		const pending, trying = corev1.PersistentVolumeClaimNodeResizePending, corev1.PersistentVolumeClaimNodeResizeInProgress
		refused := func(claim *corev1.PersistentVolumeClaim) bool { return g.refuses(claim, stageOf(claim, g.size)) }
		require.False(t, refused(see(trying, nodeRefused)), "before the request began")
		require.False(t, refused(see(nodeRefused, nodeRefused)))
		require.False(t, refused(see(nodeRefused, pending)))
		require.False(t, refused(see(pending, trying)))
		claim := see(trying, nodeRefused)
		require.True(t, refused(claim))
		require.True(t, g.over(claim, stageOf(claim, g.size)))
	}
}

// What all volumes of a claim template have counts the byte that taking back a
// request costs for nothing, and what a driver rounds up to for something.
func TestShared(t *testing.T) {
	t.Parallel()
	g := running(t, events.InfeasibleRecover)
	for name, s := range map[string]state{
		"data-sdb-leaf-0":    {"11Gi", "11Gi", "", "", "u"},
		"data-sdb-leaf-1":    {"10737418241", "10737418241", "", "", "u"},
		"log-sdb-leaf-0":     {"5368709121", "6Gi", "", "", "u"},
		"log-sdb-leaf-1":     {"11Gi", "12Gi", "", "", "u"},
		"scratch-sdb-leaf-0": {"11Gi", "11Gi", "", "", "u"},
	} {
		require.NoError(t, g.claims.informer.GetStore().Add(s.claim(name)))
		g.names = append(g.names, name)
	}
	templates := make([]corev1.PersistentVolumeClaim, 3)
	for i, name := range []string{"data", "log", "scratch"} {
		templates[i].Name = name
	}
	require.Nil(t, g.shared(templates), "nothing was refused")
	g.refused["data-sdb-leaf-1"] = events.Failure{}
	require.Equal(t, []events.Shared{{Template: "data", Size: "10Gi"}, {Template: "log", Size: "6Gi"}, {Template: "scratch", Size: "11Gi"}}, g.shared(templates))
}
