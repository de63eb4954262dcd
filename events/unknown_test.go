// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// newer is a fact as a later version may write it: with members, headers and values
// that this one does not know.
func newer(t *testing.T) *nats.Msg {
	t.Helper()
	message := golden(t, string(events.Paused))
	var payload map[string]any
	require.NoError(t, json.Unmarshal(message.Data, &payload))
	payload["site"] = map[string]any{"uid": "c1", "zones": []any{"a", "b"}}
	payload["priority"] = json.Number("12345678901234567890")
	payload["mode"], payload["leftovers"], payload["infeasible"], payload["apply"] = "Hybrid", "Archive", "negotiate", "IfQuiet"
	payload["request"].(map[string]any)["apiVersion"] = "ops.kubedb.com/v1alpha1"
	component := payload["components"].([]any)[0].(map[string]any)
	component["throughput"] = "500Mi"
	component["volumes"].([]any)[0].(map[string]any)["handle"] = "vol-1"
	payload["history"].([]any)[0].(map[string]any)["replica"] = "watcher-0"
	data, err := json.Marshal(payload)
	require.NoError(t, err)
	message.Data = data
	message.Header.Set("ce-partitionkey", "c1 c2")
	message.Header.Set("tracestate", "vendor=1")
	message.Header.Set("Nats-Rollup", "all")
	message.Header.Set("Nats-Expected-Last-Subject-Sequence", "7")
	return message
}

// An old service between two new ones hands on what it does not know.
func TestD02_WhatIsUnknownSurvivesAStep(t *testing.T) {
	t.Parallel()
	message := newer(t)
	e, err := events.Decode(message.Subject, message.Header, message.Data)
	require.NoError(t, err)
	next := e.Next(events.Expanded)
	next.Operation.Components[0].Missing = []string{"data-sdb-leaf-9"}
	next.Operation.Components[0].Volumes = []events.Volume{{Claim: "new", Capacity: "1Gi"}, e.Operation.Components[0].Volumes[0]}
	failed := next.Failed(events.Failure{Step: "update", Object: "o", Reason: "r", Message: "m"})
	for _, e := range []events.Event{next, failed, failed.Next(events.Resumed).WithAttempts(2).At(next.Time)} {
		written, err := events.Encode(e)
		require.NoError(t, err)
		var payload map[string]any
		require.NoError(t, json.Unmarshal(written.Data, &payload))
		require.Equal(t, map[string]any{"uid": "c1", "zones": []any{"a", "b"}}, payload["site"])
		require.Contains(t, string(written.Data), `"priority":12345678901234567890`)
		require.Equal(t, []any{"Hybrid", "Archive", "negotiate", "IfQuiet"}, []any{payload["mode"], payload["leftovers"], payload["infeasible"], payload["apply"]})
		require.Equal(t, "ops.kubedb.com/v1alpha1", payload["request"].(map[string]any)["apiVersion"])
		component := payload["components"].([]any)[0].(map[string]any)
		require.Equal(t, "500Mi", component["throughput"])
		require.Equal(t, []any{"data-sdb-leaf-9"}, component["missing"])
		require.NotContains(t, component["volumes"].([]any)[0], "handle", "another volume's")
		require.Equal(t, "vol-1", component["volumes"].([]any)[1].(map[string]any)["handle"])
		history := payload["history"].([]any)
		require.Equal(t, "watcher-0", history[0].(map[string]any)["replica"])
		require.NotContains(t, history[len(history)-1], "replica")
		require.Equal(t, "c1%20c2", written.Header.Get("ce-partitionkey"))
		require.Equal(t, "vendor=1", written.Header.Get("tracestate"))
		require.Empty(t, written.Header.Get("Nats-Rollup"), "what is said to the broker is said once")
		require.Empty(t, written.Header.Get("Nats-Expected-Last-Subject-Sequence"))
		require.Equal(t, e.ID(), written.Header.Get(events.HeaderID))
	}
	require.False(t, next.Operation.Mode.Known())
	require.True(t, events.Online.Known())
	require.True(t, events.Offline.Known())
}

// What this version does know is never overwritten by what an older event said.
func TestD02_WhatIsKnownIsNotTakenForUnknown(t *testing.T) {
	t.Parallel()
	message := golden(t, string(events.Paused))
	var payload map[string]any
	require.NoError(t, json.Unmarshal(message.Data, &payload))
	payload["x"], payload["failure"], payload["maxRetries"], payload["outcome"] = 1, nil, 0, ""
	data, err := json.Marshal(payload)
	require.NoError(t, err)
	e, err := events.Decode(message.Subject, message.Header, data)
	require.NoError(t, err)
	written, err := events.Encode(e.Failed(events.Failure{Reason: "r"}).Next(events.Resumed))
	require.NoError(t, err)
	read, err := events.Decode(written.Subject, written.Header, written.Data)
	require.NoError(t, err)
	require.Equal(t, "r", read.Operation.Failure.Reason)
	require.Equal(t, events.OutcomeFailed, read.Operation.Outcome)
	require.Contains(t, string(written.Data), `"x":1`)
}

// FuzzUnknown shows that a member of any name and value survives a step, wherever
// it stands, and makes nothing else of the event.
func FuzzUnknown(f *testing.F) {
	f.Add("site", `{"a":[1,null,{"b":"c"}]}`)
	f.Add("Request", `"a name that differs by case only"`)
	f.Add("", `1e400`)
	f.Add("mode ", `"\u2028"`)
	f.Fuzz(func(t *testing.T, name, value string) {
		message := golden(t, string(events.Paused))
		plain, err := events.Decode(message.Subject, message.Header, message.Data)
		require.NoError(t, err)
		var payload map[string]any
		require.NoError(t, json.Unmarshal(message.Data, &payload))
		if _, known := payload[name]; known || !json.Valid([]byte(value)) {
			return
		}
		payload[name] = json.RawMessage(value)
		payload["components"].([]any)[0].(map[string]any)["x "+name] = json.RawMessage(value)
		data, err := json.Marshal(payload)
		if err != nil {
			return
		}
		e, err := events.Decode(message.Subject, message.Header, data)
		if err != nil { // it is one that we know, written otherwise
			require.ErrorIs(t, err, events.ErrMalformed)
			return
		}
		written, err := events.Encode(e)
		require.NoError(t, err)
		again, err := events.Decode(written.Subject, written.Header, written.Data)
		require.NoError(t, err)
		require.Equal(t, e.Operation, again.Operation)
		twice, err := events.Encode(again)
		require.NoError(t, err)
		require.Equal(t, string(written.Data), string(twice.Data))
		if len(e.Operation.Components) == len(plain.Operation.Components) {
			var result map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(written.Data, &result))
			require.Contains(t, string(result["components"]), "x ")
		}
	})
}
