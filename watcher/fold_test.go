// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// chain returns the events of a chain with the given facts.
func chain(facts ...events.Fact) []events.Event {
	op := events.Operation{
		Request:    events.Reference{Kind: kubedb.KindSinglestoreOpsRequest, Namespace: "demo", Name: "grow", UID: "u", Generation: 1},
		Database:   events.Reference{Kind: kubedb.KindSinglestore, Namespace: "demo", Name: "sdb", UID: "d"},
		Mode:       events.Online,
		Components: []events.Component{{Name: "aggregator", From: "1Gi", To: "2Gi"}, {Name: "leaf", From: "10Gi", To: "11Gi"}},
	}
	if facts[0] == events.Rejected {
		op.Failure = &events.Failure{Step: "admit", Object: "SinglestoreOpsRequest demo/grow", Reason: "SizeNotGreater", Message: "too small"}
	}
	list := []events.Event{events.First(facts[0], "singlestore", op)}
	for _, fact := range facts[1:] {
		last := list[len(list)-1]
		next := last.Next(fact)
		if fact == events.Failed {
			next = last.Failed(events.Failure{Step: "expand", Object: "PersistentVolumeClaim demo/data-sdb-leaf-0", Reason: "ControllerResizeInfeasible", Message: "no room"})
		}
		list = append(list, next)
	}
	return list
}

func summary(status kubedb.OpsRequestStatus) []string {
	var list []string
	for _, condition := range status.Conditions {
		list = append(list, condition.Type+"="+string(condition.Status))
	}
	return list
}

func TestFold(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name       string
		facts      []events.Fact
		phase      kubedb.OpsRequestPhase
		conditions []string
	}{
		{"begun", []events.Fact{events.Requested}, kubedb.OpsProgressing, []string{"VolumeExpansion=True"}},
		{"successful", []events.Fact{events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed}, kubedb.OpsSuccessful, []string{
			"VolumeExpansion=True", "DatabasePauseSucceeded=True", "UpdateAggregatorNodePVCs=True", "UpdateLeafNodePVCs=True",
			"UpdatePetSets=True", "ReadyPetSets=True", "Successful=True",
		}},
		{"failed, but not resumed yet", []events.Fact{events.Requested, events.Paused, events.Failed}, kubedb.OpsProgressing, []string{"VolumeExpansion=False", "DatabasePauseSucceeded=True"}},
		{"failed", []events.Fact{events.Requested, events.Paused, events.Failed, events.Resumed}, kubedb.OpsFailed, []string{"VolumeExpansion=False", "DatabasePauseSucceeded=True"}},
		{"cancelled", []events.Fact{events.Requested, events.Cancelled, events.Resumed}, kubedb.OpsFailed, []string{"VolumeExpansion=False"}},
		{"rejected", []events.Fact{events.Rejected}, kubedb.OpsFailed, []string{"VolumeExpansion=False"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := chain(c.facts...)
			last := list[len(list)-1]

			var one kubedb.OpsRequestStatus
			for _, e := range list {
				one = Fold(one, e)
			}
			require.Equal(t, c.phase, one.Phase)
			require.Equal(t, c.conditions, summary(one))
			require.EqualValues(t, 1, one.ObservedGeneration)

			require.Equal(t, one, Fold(kubedb.OpsRequestStatus{}, last), "the last event alone says everything")
			for _, e := range list {
				require.Equal(t, one, Fold(one, e), "%s, late or twice, changes nothing", e.Fact)
			}
		})
	}
}

// Facts may be handled side by side, so that an older one is folded after a
// newer one.
func TestFoldInAnyOrder(t *testing.T) {
	t.Parallel()
	list := chain(events.Requested, events.Paused, events.Failed, events.Resumed)
	want := Fold(kubedb.OpsRequestStatus{}, list[3])
	for _, order := range [][]int{{0, 2, 1, 3}, {2, 0, 1, 3}, {1, 0, 3, 2}, {3, 2, 1, 0}} {
		var status kubedb.OpsRequestStatus
		for _, i := range order {
			status = Fold(status, list[i])
		}
		require.Equal(t, want, status, "%v", order)
	}
}

func TestFoldEndsTheWaiting(t *testing.T) {
	t.Parallel()
	waiting := kubedb.OpsRequestStatus{Phase: kubedb.OpsPending, Conditions: []kubedb.Condition{
		{Type: conditionWaiting, Status: metav1.ConditionTrue, Reason: plan.ReasonDatabaseNotReady},
	}}
	require.Equal(t, []string{"VolumeExpansion=True"}, summary(Fold(waiting, chain(events.Requested)[0])))
}

// Every fact is told to people, and trouble alone is a warning.
func TestTelling(t *testing.T) {
	t.Parallel()
	warnings := []events.Fact{events.Failed, events.Rejected, events.Cancelled}
	for _, list := range [][]events.Event{
		chain(events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed),
		chain(events.Requested, events.Failed, events.Resumed), chain(events.Requested, events.Cancelled), chain(events.Rejected),
	} {
		for _, e := range list {
			what, ok := telling(e)
			require.True(t, ok, e.Fact)
			require.Equal(t, slices.Contains(warnings, e.Fact), what.kind == "Warning", e.Fact)
			require.NotEmpty(t, what.note, e.Fact)
		}
	}
}
