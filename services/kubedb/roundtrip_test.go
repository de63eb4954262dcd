// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// database has unknown fields at every level, sizes in spellings that are not canonical, and a number beyond 2^53.
const database = `{
  "apiVersion": "kubedb.com/v1alpha2", "kind": "Singlestore", "futureTop": {"a": [1, {"b": null}]},
  "metadata": {"name": "sdb", "namespace": "demo", "uid": "u1", "generation": 9007199254740993, "futureMeta": true},
  "spec": {
    "version": "8.7.10", "licenseSecret": {"kind": "Secret", "name": "license", "rotateAfter": "24h"},
    "healthChecker": {"periodSeconds": 10}, "futureNumber": 12345678901234567890,
    "topology": {
      "futureTopology": 1.50,
      "aggregator": {"replicas": 1, "storage": {"resources": {"requests": {"storage": "1024Mi"}}, "futureStorage": "x"}},
      "leaf": {"replicas": 2, "configuration": {"inline": {"x": "y"}},
        "podTemplate": {"spec": {"containers": [{"name": "singlestore", "futureContainer": 1}, {"name": "other"}], "hostAliases": []}},
        "storage": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": 10737418240, "future": "1"}}}}
    }
  },
  "status": {"phase": "Ready", "futureStatus": 1, "conditions": [
    {"type": "A", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "futureCondition": 1},
    {"type": "B", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "futureCondition": 2}
  ]}
}`

func parseDatabase(t *testing.T) *Singlestore {
	t.Helper()
	db := &Singlestore{}
	require.NoError(t, json.Unmarshal([]byte(database), db))
	return db
}

func encode(t *testing.T, object any) string {
	t.Helper()
	data, err := json.Marshal(object)
	require.NoError(t, err)
	return string(data)
}

func compact(t *testing.T, text string) string {
	t.Helper()
	tree, err := parseTree([]byte(text))
	require.NoError(t, err)
	return encode(t, tree)
}

func TestUntouchedObjectIsWrittenAsItCame(t *testing.T) {
	t.Parallel()
	db := parseDatabase(t)
	require.Equal(t, compact(t, database), encode(t, db))
	require.Equal(t, compact(t, database), encode(t, *db), "a value, not only a pointer")
	require.Equal(t, compact(t, database), encode(t, db.DeepCopy()))

	db.TypeMeta = metav1.TypeMeta{} // as a typed client does
	require.Equal(t, compact(t, database), encode(t, db))
	require.Equal(t, "Ready", string(db.Status.Phase))
}

func TestOnlyTheChangeIsWritten(t *testing.T) {
	t.Parallel()
	db := parseDatabase(t)
	copied := db.DeepCopy()
	copied.Spec.Topology.Leaf.Storage.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("20Gi")
	copied.Spec.Topology.Leaf.PodTemplate.Spec.Containers[0].Image = "new"
	copied.Status.Conditions = RemoveCondition(copied.Status.Conditions, "A")
	copied.Status.Conditions = SetCondition(copied.Status.Conditions, Condition{
		Type: "C", Status: "True", LastTransitionTime: metav1.NewTime(time.Unix(0, 0).UTC()),
	})

	want, err := parseTree([]byte(database))
	require.NoError(t, err)
	tree := want.(map[string]any)
	leaf := tree["spec"].(map[string]any)["topology"].(map[string]any)["leaf"].(map[string]any)
	leaf["storage"].(map[string]any)["resources"].(map[string]any)["requests"].(map[string]any)["storage"] = "20Gi"
	containers := leaf["podTemplate"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)
	containers[0].(map[string]any)["image"] = "new"
	status := tree["status"].(map[string]any)
	status["conditions"] = []any{
		status["conditions"].([]any)[1],
		map[string]any{"type": "C", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"},
	}

	require.Equal(t, encode(t, tree), encode(t, copied))
	require.Equal(t, compact(t, database), encode(t, db), "the original is not affected")
}

func TestFieldsCanBeRemoved(t *testing.T) {
	t.Parallel()
	db := parseDatabase(t)
	db.Spec.Topology.Aggregator = nil
	db.Spec.Version = ""
	var written map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(encode(t, struct {
		Spec any `json:"spec"`
	}{mustTree(t, encode(t, db))["spec"]})), &written))
	require.NotContains(t, written["spec"], "version")
	require.NotContains(t, written["spec"]["topology"], "aggregator")
	require.Contains(t, written["spec"]["topology"], "futureTopology")
}

func mustTree(t *testing.T, text string) map[string]any {
	t.Helper()
	tree, err := parseTree([]byte(text))
	require.NoError(t, err)
	return tree.(map[string]any)
}

func TestListsKeepTheUnknownFieldsOfTheirItems(t *testing.T) {
	t.Parallel()
	const list = `{"apiVersion":"apps.k8s.appscode.com/v1","kind":"PetSetList","metadata":{"resourceVersion":"7"},"items":[
	  {"metadata":{"name":"a"},"spec":{"future":1,"selector":{},"serviceName":"s","template":{"spec":{"containers":[]}}}}]}`
	var sets PetSetList
	require.NoError(t, json.Unmarshal([]byte(list), &sets))
	require.JSONEq(t, list, encode(t, &sets))
	require.JSONEq(t, list, encode(t, sets.DeepCopy()))
}

func TestClaimTemplateGrowsInPlace(t *testing.T) {
	t.Parallel()
	const petSet = `{"metadata":{"name":"a"},"spec":{"selector":{},"serviceName":"s","template":{"metadata":{},"spec":{"containers":null,"futurePod":1}},
	  "volumeClaimTemplates":[
	    {"metadata":{"name":"log"},"spec":{"future":1,"resources":{"requests":{"storage":"1024Mi"}}}},
	    {"metadata":{"name":"data"},"spec":{"future":2,"resources":{"requests":{"storage":"1024Mi"}}}}]}}`
	var set PetSet
	require.NoError(t, json.Unmarshal([]byte(petSet), &set))
	set.Spec.VolumeClaimTemplates[1].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("2Gi")

	templates := mustTree(t, encode(t, set))["spec"].(map[string]any)["volumeClaimTemplates"]
	require.JSONEq(t, `[
	  {"metadata":{"name":"log"},"spec":{"future":1,"resources":{"requests":{"storage":"1024Mi"}}}},
	  {"metadata":{"name":"data"},"spec":{"future":2,"resources":{"requests":{"storage":"2Gi"}}}}]`, encode(t, templates))
}

func TestOpsRequestSizesMayBeNumbers(t *testing.T) {
	t.Parallel()
	const request = `{"metadata":{"name":"r"},"spec":{"databaseRef":{"name":"sdb"},"type":"VolumeExpansion","timeout":"5m",
	  "volumeExpansion":{"mode":"Online","leaf":15696033792,"future":"x"},"tls":{"remove":true}}}`
	var r SinglestoreOpsRequest
	require.NoError(t, json.Unmarshal([]byte(request), &r))
	require.Equal(t, int64(15696033792), r.Spec.VolumeExpansion.Leaf.Value())
	require.Equal(t, 5*time.Minute, r.Spec.Timeout.Duration)

	r.Status.Phase = OpsPending
	written := mustTree(t, encode(t, r))
	require.Equal(t, mustTree(t, request)["spec"], written["spec"])
	require.Equal(t, "Pending", written["status"].(map[string]any)["phase"])
}

func TestBadJSONIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{`, `[]`, `{"metadata":7}`, `{"status":{"conditions":[{"lastTransitionTime":"x"}]}}`} {
		require.Error(t, json.Unmarshal([]byte(text), &Singlestore{}), text)
	}
}

func TestUnreadableSpecHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, spec, why string }{
		{"timeout", `{"databaseRef":{"name":"x"},"timeout":"soon"}`, "soon"},
		{"fraction of an exponent", `{"volumeExpansion":{"leaf":"1e1."}}`, "quantities must match"},
		{"takes minutes to parse", `{"volumeExpansion":{"leaf":"1e-999999999"}}`, "exponent is out of range"},
		{"takes minutes to compare", `{"volumeExpansion":{"leaf":"+1.E999999999"}}`, "exponent is out of range"},
		{"number", `{"volumeExpansion":{"leaf":1e1000}}`, "exponent is out of range"},
		{"not an object", `7`, "cannot unmarshal"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := `{"metadata":{"name":"bad","uid":"1"},"status":{"phase":"Pending","x":1},"spec":` + test.spec + `}`
			var list SinglestoreOpsRequestList
			require.NoError(t, json.Unmarshal([]byte(`{"items":[`+text+`,{"metadata":{"name":"good"}}]}`), &list))
			bad, good := &list.Items[0], &list.Items[1]
			require.NoError(t, good.Invalid())
			require.ErrorContains(t, bad.Invalid(), test.why)
			require.ErrorContains(t, bad.DeepCopy().Invalid(), test.why)
			require.Equal(t, "bad", bad.Name)
			require.Equal(t, SinglestoreOpsRequestSpec{}, bad.Spec)

			require.Equal(t, compact(t, text), encode(t, bad))
			bad.Status.Phase = OpsFailed
			written := mustTree(t, encode(t, bad))
			require.Equal(t, mustTree(t, text)["spec"], written["spec"])
			require.Equal(t, "Failed", written["status"].(map[string]any)["phase"])
		})
	}
}

func TestNumberLikeLabelsAreNoQuantities(t *testing.T) {
	t.Parallel()
	var db Singlestore
	require.NoError(t, json.Unmarshal([]byte(`{"metadata":{"labels":{"commit":"123e4567"}},"spec":{"version":"1e1000",
	  "storage":{"resources":{"requests":{"storage":"1e12"}}}}}`), &db))
	require.NoError(t, db.Invalid())
	require.Equal(t, "1e12", db.Components()[0].Size().String())
}
