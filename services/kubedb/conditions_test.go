// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSetCondition(t *testing.T) {
	t.Parallel()
	old := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	is := func(conditionType string, change func(*Condition)) Condition {
		c := Condition{Type: conditionType, Status: "True", Reason: "R", Message: "M", ObservedGeneration: 1, LastTransitionTime: old}
		change(&c)
		return c
	}
	none := func(*Condition) {}
	conds := []Condition{is("A", none), is("B", none), is("C", none)}
	fresh := func(change func(*Condition)) Condition {
		return is("B", func(c *Condition) { c.LastTransitionTime = metav1.Time{}; change(c) })
	}
	tests := []struct {
		name    string
		set     Condition
		changed bool
	}{
		{"says the same", fresh(none), false},
		{"severity alone says nothing new", fresh(func(c *Condition) { c.Severity = SeverityError }), false},
		{"status", fresh(func(c *Condition) { c.Status = "False" }), true},
		{"reason", fresh(func(c *Condition) { c.Reason = "other" }), true},
		{"message", fresh(func(c *Condition) { c.Message = "other" }), true},
		{"generation", fresh(func(c *Condition) { c.ObservedGeneration = 2 }), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := append([]Condition{}, conds...)
			result := SetCondition(before, test.set)
			require.Equal(t, conds, before, "the argument is not modified")
			require.Len(t, result, 3)
			require.Equal(t, conds[0], result[0])
			require.Equal(t, conds[2], result[2])
			if !test.changed {
				require.Equal(t, conds, result)
				return
			}
			require.True(t, result[1].LastTransitionTime.After(old.Time))
			test.set.LastTransitionTime = result[1].LastTransitionTime
			require.Equal(t, test.set, result[1])
		})
	}
	t.Run("appends", func(t *testing.T) {
		t.Parallel()
		result := SetCondition(conds[:1], is("Z", none))
		require.Equal(t, []Condition{conds[0], is("Z", none)}, result)
		require.Equal(t, "B", conds[1].Type, "the argument's array is not written to")
	})
}

func TestRemoveAndFindCondition(t *testing.T) {
	t.Parallel()
	conds := []Condition{{Type: "A", Status: "True"}, {Type: "B", Status: "False"}, {Type: "C", Status: "Unknown"}}
	require.Equal(t, []Condition{conds[0], conds[2]}, RemoveCondition(conds, "B"))
	require.Equal(t, "B", conds[1].Type)
	require.Equal(t, conds, RemoveCondition(conds, "Z"))
	require.Nil(t, FindCondition(conds, "Z"))
	require.Equal(t, &conds[2], FindCondition(conds, "C"))
	require.True(t, IsConditionTrue(conds, "A"))
	require.True(t, IsConditionFalse(conds, "B"))
	for _, name := range []string{"C", "Z"} {
		require.False(t, IsConditionTrue(conds, name))
		require.False(t, IsConditionFalse(conds, name))
	}
}

func TestConditionJSON(t *testing.T) {
	t.Parallel()
	c := Condition{Type: "T", Status: "True", LastTransitionTime: metav1.NewTime(time.Unix(0, 0))}
	data, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"T","status":"True","lastTransitionTime":"1970-01-01T00:00:00Z"}`, string(data))
}

func TestMessagesAreKubeDBs(t *testing.T) {
	t.Parallel()
	request := &SinglestoreOpsRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "sdb-offline-vol-expansion"}}
	request.Spec.Type = TypeVolumeExpansion
	request.CreationTimestamp = metav1.NewTime(time.Unix(0, 0).UTC())
	require.Equal(t, "Start processing for SinglestoreOpsRequest: demo/sdb-offline-vol-expansion", StartProcessingMessage(request))
	require.Equal(t, "Pausing Singlestore database: demo/sample-sdb", PausingMessage("demo", "sample-sdb"))
	require.Equal(t, "Successfully paused Singlestore database: demo/sample-sdb for SinglestoreOpsRequest: sdb-offline-vol-expansion",
		PausedMessage("demo", "sample-sdb", request.Name))
	require.Equal(t, "Resuming Singlestore database: demo/sample-sdb", ResumingMessage("demo", "sample-sdb"))
	require.Equal(t, "Successfully resumed Singlestore database: demo/sample-sdb for SinglestoreOpsRequest: sdb-offline-vol-expansion",
		ResumedMessage("demo", "sample-sdb", request.Name))
	require.Equal(t, "skipped as demo/sdb-offline-vol-expansion is the most updated SinglestoreOpsRequest of type VolumeExpansion at 1970-01-01 00:00:00 +0000 UTC",
		SkippedMessage(request))

	for component, want := range map[string]string{
		ComponentNode:       "UpdateNodePVCs: successfully updated Node node PVC sizes",
		ComponentAggregator: "UpdateAggregatorNodePVCs: successfully updated Aggregator node PVC sizes",
		ComponentLeaf:       "UpdateLeafNodePVCs: successfully updated Leaf node PVC sizes",
	} {
		conditionType, message := VolumeCondition(component)
		require.Equal(t, want, conditionType+": "+message)
	}
	require.Equal(t, Condition{Type: "Successful", Status: "True", Reason: "Successful", Message: MessageSuccessful, ObservedGeneration: 3},
		NewOpsCondition(ConditionSuccessful, MessageSuccessful, 3))
	require.Equal(t, Condition{Type: "VolumeExpansion", Status: "False", Reason: "Failed", Message: "no", ObservedGeneration: 3},
		NewFailedCondition(ConditionVolumeExpansion, "no", 3))
}
