// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	rpc       = "failed to expand pvc with rpc error: code = FailedPrecondition desc = "
	saidInUse = rpc + "disk is in-use by instance i-1"
	snapshots = rpc + "the volume has 3 snapshots"
)

// C03: Offline is the answer only to a driver that says so of a volume that a pod uses.
func TestPreconditionFailure(t *testing.T) {
	t.Parallel()
	cases := []struct{ words, user, reason, says string }{
		{saidInUse, "sdb-leaf-0", ReasonOfflineOnly, "mode: Offline"},
		{rpc + "Volume must be DETACHED", "sdb-leaf-0", ReasonOfflineOnly, "mode: Offline"},
		{rpc + "this volume can only be expanded while it is not in use", "sdb-leaf-0", ReasonOfflineOnly, "mode: Offline"},
		{saidInUse, "", "", ""},
		{snapshots, "sdb-leaf-0", ReasonDriverRefused, "only after pod sdb-leaf-0 has released"},
		{snapshots, "", ReasonDriverRefused, "refuses"},
	}
	for _, c := range cases {
		failure := preconditionFailure(c.words, c.user)
		if c.reason == "" {
			require.Nil(t, failure, c.words)
			continue
		}
		require.Equal(t, c.reason, failure.Reason, c.words)
		require.Contains(t, failure.Message, c.says)
		require.Contains(t, failure.Message, c.words, "the driver's own words")
	}
}

// What a driver said while the volume was in use is no answer; what it says of one that
// is released is: at once if that is about something else, after some time if it may
// not know yet.
func TestHear(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	says := func(second int, message string) *corev1.PersistentVolumeClaim {
		claim := &corev1.PersistentVolumeClaim{}
		if message != "" {
			claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
				Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionTrue, Message: message,
				LastTransitionTime: metav1.NewTime(at.Add(time.Duration(second) * time.Second)),
			}}
		}
		return claim
	}
	cases := []struct {
		name   string
		claims []*corev1.PersistentVolumeClaim
		final  bool
	}{
		{"nothing", []*corev1.PersistentVolumeClaim{says(0, ""), says(0, "")}, false},
		{"what it said before", []*corev1.PersistentVolumeClaim{says(0, snapshots), says(0, snapshots), says(0, snapshots)}, false},
		{"another reason", []*corev1.PersistentVolumeClaim{says(0, ""), says(1, snapshots)}, true},
		{"the same as before, once more", []*corev1.PersistentVolumeClaim{says(0, snapshots), says(1, snapshots)}, true},
		{"late to know", []*corev1.PersistentVolumeClaim{says(0, saidInUse), says(1, saidInUse), says(1, saidInUse), says(3, saidInUse), says(7, saidInUse), says(7, "")}, false},
		{"in use, again and again", []*corev1.PersistentVolumeClaim{says(0, ""), says(1, saidInUse), says(3, saidInUse), says(7, saidInUse), says(15, saidInUse)}, true},
		{"an error that goes away", []*corev1.PersistentVolumeClaim{says(0, ""), says(1, "rpc error: code = Internal desc = busy")}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			heard := answers{}
			final := false
			for _, claim := range c.claims {
				_, final = heard.hear(claim)
			}
			require.Equal(t, c.final, final)
		})
	}
}

// Whoever the resizer counts as a user of a claim is one.
func TestUsedBy(t *testing.T) {
	t.Parallel()
	pod := func(name, claim string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{Phase: phase},
			Spec: corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}}}},
		}
	}
	pods := []*corev1.Pod{
		{ObjectMeta: metav1.ObjectMeta{Name: "no-volume"}},
		pod("db-0", "data-db-0", corev1.PodRunning), pod("done", "data-db-0", corev1.PodSucceeded), pod("crashed", "data-db-0", corev1.PodFailed),
		pod("other", "data-db-1", corev1.PodRunning),
	}
	require.Equal(t, "db-0", usedBy(pods, "data-db-0", ""))
	require.Empty(t, usedBy(pods, "data-db-0", "db-0"))
	require.Equal(t, "backup", usedBy(append(pods, pod("backup", "data-db-0", corev1.PodPending)), "data-db-0", "db-0"))
}
