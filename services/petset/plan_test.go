// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// parsePods reads "ordinal:state" fields. States: ready, new (ready for 1 s), pending, failed, held (terminating), and a
// trailing ' for an older revision.
func parsePods(t *testing.T, text string) []*corev1.Pod {
	t.Helper()
	var pods []*corev1.Pod
	for field := range strings.FieldsSeq(text) {
		ordinal, state, _ := strings.Cut(field, ":")
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "db-" + ordinal, Labels: map[string]string{kubedb.LabelRevision: "new"}}}
		if old, isOld := strings.CutSuffix(state, "'"); isOld {
			state, pod.Labels[kubedb.LabelRevision] = old, "old"
		}
		ready := func(since time.Time) {
			pod.Status.Phase = corev1.PodRunning
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)}}
		}
		switch state {
		case "ready":
			ready(now.Add(-time.Hour))
		case "new":
			ready(now.Add(-time.Second))
		case "pending":
			pod.Status.Phase = corev1.PodPending
		case "failed":
			pod.Status.Phase = corev1.PodFailed
		case "held":
			pod.Status.Phase = corev1.PodFailed
			pod.DeletionTimestamp = &metav1.Time{Time: now}
		default:
			require.Fail(t, "no such state", state)
		}
		pods = append(pods, pod)
	}
	return pods
}

func TestPlan(t *testing.T) {
	t.Parallel()
	parallel := func(s *kubedb.PetSetSpec) { s.PodManagementPolicy = appsv1.ParallelPodManagement }
	onDelete := func(s *kubedb.PetSetSpec) { s.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType }
	replicas := func(n int32) func(*kubedb.PetSetSpec) { return func(s *kubedb.PetSetSpec) { s.Replicas = &n } }
	startAt := func(n int32) func(*kubedb.PetSetSpec) {
		return func(s *kubedb.PetSetSpec) { s.Ordinals = &appsv1.StatefulSetOrdinals{Start: n} }
	}
	partition := func(n int32) func(*kubedb.PetSetSpec) {
		return func(s *kubedb.PetSetSpec) {
			s.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: &n}
		}
	}
	minReady := func(s *kubedb.PetSetSpec) { s.MinReadySeconds = 10 }
	type options []func(*kubedb.PetSetSpec)
	tests := []struct {
		name    string
		options options
		pods    string
		want    string
	}{
		{"nothing to do", options{replicas(2)}, "0:ready 1:ready", ""},
		{"one replica by default", nil, "", "create pod 0"},
		{"no replicas", options{replicas(0)}, "", ""},

		{"ordered: the first", options{replicas(3)}, "", "create pod 0"},
		{"ordered: waits for the lower one", options{replicas(3)}, "0:pending", "create claims 0"},
		{"ordered: the next", options{replicas(3)}, "0:ready", "create pod 1"},
		{"ordered: fills the gap first", options{replicas(3)}, "0:ready 2:ready", "create pod 1"},
		{"ordered: waits for minReadySeconds", options{replicas(2), minReady}, "0:new", ""},
		{"ordered: a dead pod", options{replicas(2)}, "0:failed 1:ready", "delete pod 0"},
		{"ordered: a held dead pod is waited for", options{replicas(2)}, "0:held", ""},
		{"parallel: all at once", options{replicas(3), parallel}, "", "create pod 0, create pod 1, create pod 2"},
		{"parallel: goes around a held dead pod", options{replicas(3), parallel}, "0:held 1:failed", "delete pod 1, create pod 2"},
		{"first ordinal", options{replicas(2), startAt(5), parallel}, "", "create pod 5, create pod 6"},
		{"moved ordinals", options{replicas(2), startAt(1)}, "0:ready 1:ready", "create pod 2"},

		{"ordered: shrinks from the highest", options{replicas(1)}, "0:ready 1:ready 2:ready", "delete pod 2"},
		{"ordered: one at a time", options{replicas(1)}, "0:ready 1:ready 2:held", ""},
		{"ordered: does not shrink while one is not ready", options{replicas(1)}, "0:pending 1:ready", "create claims 0"},
		{"parallel: shrinks at once", options{replicas(1), parallel}, "0:ready 1:ready 2:ready", "delete pod 2, delete pod 1"},

		{"update: highest first", options{replicas(2)}, "0:ready' 1:ready'", "delete pod 1"},
		{"update: then the next", options{replicas(2)}, "0:ready' 1:ready", "delete pod 0"},
		{"update: waits", options{replicas(2), parallel}, "0:ready' 1:pending", "create claims 1"},
		{"update: waits for a terminating one", options{replicas(2), parallel}, "0:ready' 1:held'", ""},
		{"update: partition", options{replicas(2), partition(1)}, "0:ready' 1:ready", ""},
		{"update: partition counts ordinals", options{replicas(2), startAt(5), partition(6)}, "5:ready' 6:ready'", "delete pod 6"},
		{"update: partition above all", options{replicas(2), partition(9)}, "0:ready' 1:ready'", ""},
		{"on delete: nothing", options{replicas(2), onDelete}, "0:ready' 1:ready'", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set := &kubedb.PetSet{ObjectMeta: metav1.ObjectMeta{Name: "db"}}
			for _, option := range test.options {
				option(&set.Spec)
			}
			var steps []string
			for _, step := range plan(set, parsePods(t, test.pods), "new", now) {
				steps = append(steps, fmt.Sprintf("%s %d", step.action, step.ordinal))
				if step.action == deletePod {
					require.Equal(t, kubedb.PodName("db", step.ordinal), step.pod.Name)
				}
			}
			require.Equal(t, test.want, strings.Join(steps, ", "))
		})
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	three := int32(3)
	set := &kubedb.PetSet{ObjectMeta: metav1.ObjectMeta{Name: "db", Generation: 4}}
	set.Spec.Replicas = &three
	set.Spec.MinReadySeconds = 10
	tests := []struct {
		name, pods, current string
		want                appsv1.StatefulSetStatus
	}{
		{"first", "", "", appsv1.StatefulSetStatus{CurrentRevision: "new"}},
		{"mixed", "0:ready' 1:new 2:held'", "old", appsv1.StatefulSetStatus{
			Replicas: 3, ReadyReplicas: 2, AvailableReplicas: 1, CurrentReplicas: 1, UpdatedReplicas: 1, CurrentRevision: "old",
		}},
		{"updated but not ready", "0:ready 1:ready 2:pending", "old", appsv1.StatefulSetStatus{
			Replicas: 3, ReadyReplicas: 2, AvailableReplicas: 2, UpdatedReplicas: 3, CurrentRevision: "old",
		}},
		{"updated", "0:ready 1:ready 2:new", "old", appsv1.StatefulSetStatus{
			Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 2, CurrentReplicas: 3, UpdatedReplicas: 3, CurrentRevision: "new",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := set.DeepCopy()
			before.Status.CurrentRevision = test.current
			before.Status.ReadyReplicas = 9
			test.want.ObservedGeneration, test.want.UpdateRevision = 4, "new"
			require.Equal(t, test.want, newStatus(before, parsePods(t, test.pods), "new", now))
		})
	}
	require.Equal(t, 9*time.Second, untilAvailable(set, parsePods(t, "0:ready 1:new 2:pending"), now))
	require.Zero(t, untilAvailable(set, parsePods(t, "0:ready"), now))
}
