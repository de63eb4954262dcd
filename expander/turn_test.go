// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
)

// A pod is held while that can help, and no longer.
func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	zero, thirty := int64(0), int64(30)
	running := func(changes ...func(*corev1.Pod)) *corev1.Pod {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "sdb-leaf-1"},
			Spec:       corev1.PodSpec{NodeName: "node-1"},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning},
		}
		for _, change := range changes {
			change(pod)
		}
		return pod
	}
	held := func(pod *corev1.Pod) {
		pod.Finalizers, pod.Labels = []string{Hold}, map[string]string{Hold: "u"}
	}
	another := func(pod *corev1.Pod) { pod.Labels[Hold] = "another" }
	unscheduled := func(pod *corev1.Pod) { pod.Spec.NodeName, pod.Status.Phase = "", corev1.PodPending }
	deleted := func(end time.Duration) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			at := metav1.NewTime(now.Add(end))
			pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &at, &thirty
		}
	}
	dies := func(pod *corev1.Pod) {
		at := metav1.NewTime(now)
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds, pod.Status.Phase = &at, &zero, corev1.PodSucceeded
	}
	release, first, node, mixed := needs{needRelease: true}, needs{needNodeFirst: true}, needs{needNode: true}, needs{needNodeFirst: true, needRelease: true}
	const backup, volume = "pod demo/backup uses it", "volume pv-1 is attached"
	cases := []struct {
		name           string
		pod            *corev1.Pod
		needs          needs
		user, attached string
		want           move
		reason         string
	}{
		{"nothing to do", running(), nil, "", "", moveOn, ""},
		{"nothing to do, whoever uses the claim", running(), nil, backup, "", moveOn, ""},
		{"only the node's part is left", running(), node, "", "", moveOn, ""},
		{"held, and only the node's part is left", running(held, dies), node, "", "", moveRelease, ""},
		{"held for another request, and grown", running(held, another), nil, "", "", moveRelease, ""},
		{"its turn", running(), release, "", "", moveHold, ""},
		{"held for another request", running(held, another), release, "", "", moveHold, ""},
		{"held", running(held), release, "", "", moveEvict, ""},
		{"ends", running(held, deleted(20*time.Second)), release, "", "", moveWait, events.StatePodTerminating},
		{"attached still", running(held, dies), release, "", volume, moveWait, events.StateVolumeAttached},
		{"released", running(held, dies), release, "", "", moveGrow, ""},
		{"no pod", nil, release, "", "", moveGrow, ""},
		{"a pod that was never scheduled", running(unscheduled), release, "", "", moveGrow, ""},
		{"deleted by somebody else", running(deleted(20 * time.Second)), release, "", "", moveWait, events.StatePodTerminating},
		// C10
		{"another pod uses it", running(), release, backup, "", moveWait, events.StateClaimInUse},
		{"another pod uses it, and there is none of ours", nil, release, backup, "", moveWait, events.StateClaimInUse},
		{"another pod came when it was held", running(held), release, backup, "", moveRelease, events.StateClaimInUse},
		{"another pod came when it was dead", running(held, dies), release, backup, volume, moveRelease, events.StateClaimInUse},
		// D29
		{"the node has to finish an earlier growth", running(), first, "", "", moveLetNode, ""},
		{"the node has to finish an earlier growth, without a pod", nil, first, "", "", moveLetNode, ""},
		{"held, and the node has to finish an earlier growth", running(held, dies), first, "", "", moveRelease, ""},
		{"two volumes, one of which waits for its node", running(), mixed, "", "", moveLetNode, ""},
		{"two volumes, held", running(held), mixed, "", "", moveRelease, ""},
		{"two volumes, dead: the other one grows", running(held, dies), mixed, "", "", moveGrow, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, why := decide(turn{pod: c.pod, needs: c.needs, request: events.Reference{UID: "u"}, user: c.user, attached: c.attached}, now)
			require.Equal(t, c.want, got)
			require.Equal(t, c.reason, why.reason)
		})
	}
}

// D33: a node is suspected when its pod's grace period is over, and not before.
func TestEnding(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 11, 29, 12, 0, 30, 0, time.UTC)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "sdb-leaf-1", DeletionTimestamp: &metav1.Time{Time: end}}, Spec: corev1.PodSpec{NodeName: "node-1"}}
	early := ending(pod, end.Add(-29*time.Second))
	require.Equal(t, "pod demo/sdb-leaf-1 is ending; it has time until 12:00:30 UTC", early.message)
	late := ending(pod, early.until)
	require.Contains(t, late.message, "if node node-1 is down")
	require.Zero(t, late.until)
}
