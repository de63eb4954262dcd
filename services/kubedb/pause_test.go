// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPausedBy(t *testing.T) {
	t.Parallel()
	request := &SinglestoreOpsRequest{ObjectMeta: metav1.ObjectMeta{
		Namespace: "demo", Name: "grow.2026-01", UID: "7e0f3a6c-52a5-4d3e-9a5c-9d0d2b1f0001",
	}}
	ours := OwnerOf(request)
	paused := func(c Condition) []Condition { return []Condition{{Type: "Ready", Status: "True"}, c} }
	tests := []struct {
		name   string
		conds  []Condition
		owner  Owner
		paused bool
	}{
		{"no condition", nil, Owner{}, false},
		{"ours", paused(PauseCondition(ours, 2)), ours, true},
		{"not True", paused(Condition{Type: "Paused", Status: "False", Message: PauseMessage(ours)}), Owner{}, false},
		{"KubeDB's CLI", paused(Condition{Type: "Paused", Status: "True", Reason: "Paused", Message: "Paused by KubeDB CLI tool"}), Owner{}, true},
		{"no message", paused(Condition{Type: "Paused", Status: "True"}), Owner{}, true},
		{"quoted by somebody", paused(Condition{Type: "Paused", Status: "True", Message: "was: " + PauseMessage(ours)}), Owner{}, true},
		{"continued by somebody", paused(Condition{Type: "Paused", Status: "True", Message: PauseMessage(ours) + " and me"}), Owner{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := &Singlestore{Status: SinglestoreStatus{Conditions: test.conds}}
			owner, paused := PausedBy(db)
			require.Equal(t, test.owner, owner)
			require.Equal(t, test.paused, paused)
			require.Equal(t, test.paused, IsPaused(db))
			require.Equal(t, test.owner == Owner{}, owner.IsZero())
		})
	}
	require.Equal(t, "Paused by SinglestoreOpsRequest demo/grow.2026-01, uid 7e0f3a6c-52a5-4d3e-9a5c-9d0d2b1f0001", PauseMessage(ours))
	require.Equal(t, Condition{Type: "Paused", Status: "True", Reason: "Paused", Message: PauseMessage(ours), ObservedGeneration: 2},
		PauseCondition(ours, 2))
}

func FuzzParsePauseMessage(f *testing.F) {
	f.Add("Paused by KubeDB CLI tool")
	f.Add("Paused by SinglestoreOpsRequest demo/grow, uid 1-2")
	f.Fuzz(func(t *testing.T, message string) {
		owner, ok := ParsePauseMessage(message)
		if ok {
			require.Equal(t, message, PauseMessage(owner))
		} else {
			require.True(t, owner.IsZero())
		}
	})
}
