// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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

// recovery returns the events of a chain whose leaves could not all grow.
func recovery() []events.Event {
	list := chain(events.Requested, events.Paused, events.Expanded)
	expanded := &list[2].Operation
	expanded.Components[1].Shared = []events.Shared{{Template: "data", Size: "10Gi"}}
	expanded.Failure = &events.Failure{Step: "expand", Object: "PersistentVolumeClaim demo/data-sdb-leaf-0", Reason: "ControllerResizeInfeasible", Message: "no room"}
	updated := list[2].Next(events.Updated)
	return append(list, updated, updated.Next(events.Resumed))
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
		chain      []events.Event
		phase      kubedb.OpsRequestPhase
		conditions []string
	}{
		{"begun", chain(events.Requested), kubedb.OpsProgressing, []string{"VolumeExpansion=True"}},
		{"successful", chain(events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed), kubedb.OpsSuccessful, []string{
			"VolumeExpansion=True", "DatabasePauseSucceeded=True", "UpdateAggregatorNodePVCs=True", "UpdateLeafNodePVCs=True",
			"UpdatePetSets=True", "ReadyPetSets=True", "Successful=True",
		}},
		{"failed, but not resumed yet", chain(events.Requested, events.Paused, events.Failed), kubedb.OpsProgressing, []string{"VolumeExpansion=False", "DatabasePauseSucceeded=True"}},
		{"failed", chain(events.Requested, events.Paused, events.Failed, events.Resumed), kubedb.OpsFailed, []string{"VolumeExpansion=False", "DatabasePauseSucceeded=True"}},
		{"recovered", recovery(), kubedb.OpsFailed, []string{
			"VolumeExpansion=False", "DatabasePauseSucceeded=True", "UpdateAggregatorNodePVCs=True", "UpdatePetSets=True", "ReadyPetSets=True",
		}},
		{"cancelled", chain(events.Requested, events.Cancelled, events.Resumed), kubedb.OpsFailed, []string{"VolumeExpansion=False"}},
		{"rejected", chain(events.Rejected), kubedb.OpsFailed, []string{"VolumeExpansion=False"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := c.chain
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
			what, ok := telling(e, "")
			require.True(t, ok, e.Fact)
			require.Equal(t, slices.Contains(warnings, e.Fact), what.kind == "Warning", e.Fact)
			require.NotEmpty(t, what.note, e.Fact)
		}
	}
	what, _ := telling(recovery()[2], "")
	require.Equal(t, "Warning", what.kind)
	require.Contains(t, what.note, "ControllerResizeInfeasible")
}

// What a person should know of a request that went well is said in a condition
// each, and with many objects it stays short.
func TestFoldReports(t *testing.T) {
	t.Parallel()
	e := chain(events.Requested, events.Paused, events.Expanded)[2]
	e.Operation.Leftovers = events.GrowLeftovers
	leaf := &e.Operation.Components[1]
	leaf.Leftover = []events.Volume{{Claim: "data-sdb-leaf-2", Capacity: "10Gi"}}
	for i := range reported + 5 {
		leaf.Missing = append(leaf.Missing, fmt.Sprintf("data-sdb-leaf-%d", 3+i))
	}
	status := Fold(kubedb.OpsRequestStatus{}, e)
	missing, leftover := kubedb.FindCondition(status.Conditions, conditionMissing), kubedb.FindCondition(status.Conditions, conditionLeftover)
	require.Equal(t, "claims of pods that there are no longer were asked to grow and not waited for: data-sdb-leaf-2 (10Gi)", leftover.Message)
	require.Contains(t, missing.Message, "data-sdb-leaf-3, ")
	require.Contains(t, missing.Message, "data-sdb-leaf-22 and 5 more")
	require.Nil(t, kubedb.FindCondition(status.Conditions, conditionNotRestarted))
}

// The status of a request stays small, however many volumes it has and however
// much is said of each.
func TestTheStatusOfAThousandVolumesIsSmall(t *testing.T) {
	t.Parallel()
	const volumes, bound = 1000, 24 << 10
	list := chain(events.Requested, events.Paused, events.Expanded)
	op := &list[2].Operation
	leaf := &op.Components[1]
	for i := range volumes {
		claim := fmt.Sprintf("data-%s-leaf-%d", strings.Repeat("x", 50), i)
		leaf.Volumes = append(leaf.Volumes, events.Volume{Claim: claim, Capacity: "10Gi"})
		leaf.NotRestarted, leaf.Missing = append(leaf.NotRestarted, claim), append(leaf.Missing, claim)
		leaf.Leftover = append(leaf.Leftover, events.Volume{Claim: claim, Capacity: "10Gi"})
	}
	leaf.Shared = []events.Shared{{Template: "data", Size: "10Gi"}}
	op.Failure = &events.Failure{Step: "expand", Object: "Singlestore demo/sdb", Reason: "DeadlineExceeded", Message: strings.Repeat("a volume's words, ", volumes)}
	last := list[2].Next(events.Updated).Failed(events.Failure{Step: "update", Object: "Singlestore demo/sdb", Reason: "UpdateRefused", Message: strings.Repeat("more, ", volumes)}).Next(events.Resumed)

	var growing growing
	for i := range volumes {
		growing.hear(events.Progress{Request: op.Request, Component: "leaf", Claim: leaf.Volumes[i].Claim, Grown: i, Volumes: volumes, State: "NodeResizePending", Capacity: "10Gi", To: "11Gi"}, time.Time{}, growingRest)
	}
	message, _ := growing.take(types.NamespacedName{Namespace: "demo", Name: "grow"}, "u", time.Now())
	require.Contains(t, message, "leaf: 999 of 1000 volumes have grown")

	status := kubedb.OpsRequestStatus{Conditions: []kubedb.Condition{
		{Type: conditionGrowing, Status: metav1.ConditionTrue, Message: message},
		{Type: conditionWaiting, Status: metav1.ConditionTrue, Message: strings.Repeat("x", maxWaiting)},
	}}
	for _, status := range []kubedb.OpsRequestStatus{status, Fold(status, list[1]), Fold(status, last)} {
		data, err := json.Marshal(status)
		require.NoError(t, err)
		require.Less(t, len(data), bound)
	}
}

// What is heard of volumes is written when it has rested, once, and until the next
// is heard not again.
func TestGrowingRests(t *testing.T) {
	t.Parallel()
	var growing growing
	key, begin := types.NamespacedName{Namespace: "demo", Name: "grow"}, time.Now()
	p := events.Progress{Request: events.Reference{Namespace: "demo", Name: "grow", UID: "u"}, Component: "leaf", Claim: "c", State: "Requested", Capacity: "10Gi", To: "11Gi", Volumes: 2}
	require.True(t, growing.hear(p, begin, growingRest))
	p.Component = "aggregator"
	require.False(t, growing.hear(p, begin.Add(time.Second), growingRest), "it is going to be looked at")

	message, again := growing.take(key, "u", begin.Add(time.Second))
	require.Empty(t, message)
	require.Equal(t, growingRest-time.Second, again)
	message, again = growing.take(key, "u", begin.Add(growingRest))
	require.Equal(t, "aggregator: 0 of 2 volumes have grown, at last heard c: Requested, 10Gi of 11Gi; leaf: 0 of 2 volumes have grown, at last heard c: Requested, 10Gi of 11Gi", message)
	require.Zero(t, again)
	message, _ = growing.take(key, "u", begin.Add(time.Hour))
	require.Empty(t, message)

	require.True(t, growing.hear(p, begin.Add(time.Hour), growingRest))
	message, again = growing.take(key, "another of the name", begin.Add(2*time.Hour))
	require.Empty(t, message)
	require.Zero(t, again)
	growing.end(events.Reference{Namespace: "demo", Name: "grow", UID: "another of the name"})
	require.Len(t, growing.requests, 1)
	growing.end(p.Request)
	require.Empty(t, growing.requests)
	require.True(t, growing.hear(p, begin, growingRest))
	growing.forget(key)
	require.Empty(t, growing.requests)
}
