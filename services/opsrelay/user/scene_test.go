// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// A line has a bar for each component of a request whose volumes grow.
func TestLineOfWatch(t *testing.T) {
	t.Parallel()
	s := newScene()
	s.put(&kubedb.SinglestoreOpsRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "grow", UID: "u"},
		Status: kubedb.OpsRequestStatus{
			Phase:      kubedb.OpsProgressing,
			Conditions: []kubedb.Condition{{Type: kubedb.ConditionDatabasePauseSucceeded, Status: metav1.ConditionTrue}},
		},
	})
	for claim, state := range map[string]string{"leaf-0": events.StateGrown, "leaf-1": "Resizing", "aggregator-0": events.StateGrown} {
		component := claim[:len(claim)-2]
		s.progress(events.Progress{Request: events.Reference{UID: "u"}, Component: component, Claim: claim, State: state})
	}
	require.Equal(t, map[string]string{
		"demo/grow": "demo/grow                                Progressing  expand  aggregator [##########] 1/1 leaf [#####.....] 1/2",
	}, s.lines())
	s.remove("demo", "grow")
	require.Empty(t, s.lines())
	require.Empty(t, s.volumes)
}
