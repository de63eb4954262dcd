// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// watcherOf returns a watcher that has seen the given objects and asks no API server.
func watcherOf(t *testing.T, registry prometheus.Registerer, requests []*kubedb.SinglestoreOpsRequest, databases []*kubedb.Singlestore) *Watcher {
	t.Helper()
	config := &rest.Config{Host: "127.0.0.1:1"} // nothing is asked of it
	client, err := kubedb.NewClient(config)
	require.NoError(t, err)
	core, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	w, err := New(Config{
		Client: client, Core: core, Chain: bustest.Connect(t, "watcher").Chain("watcher"), StepTimeout: time.Hour, Workers: 1, Registerer: registry,
	})
	require.NoError(t, err)
	for _, request := range requests {
		require.NoError(t, w.requests.GetStore().Add(request))
	}
	for _, db := range databases {
		require.NoError(t, w.databases.GetStore().Add(db))
	}
	return w
}

// collected returns what is counted of the given objects, all but what is zero.
func collected(t *testing.T, requests []*kubedb.SinglestoreOpsRequest, databases []*kubedb.Singlestore) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	watcherOf(t, registry, requests, databases)
	families, err := registry.Gather()
	require.NoError(t, err)
	counted := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := []string{strings.TrimPrefix(family.GetName(), "opsrelay_")}
			for _, label := range metric.GetLabel() {
				name = append(name, label.GetValue())
			}
			if value := metric.GetGauge().GetValue(); value != 0 {
				counted[strings.Join(name, " ")] = value
			}
		}
	}
	return counted
}

// underWay is a request whose chain has the given facts, the last of them long
// ago or just now.
func underWay(name string, ago time.Duration, facts ...events.Fact) *kubedb.SinglestoreOpsRequest {
	at := metav1.NewTime(time.Now().Add(-ago))
	request := &kubedb.SinglestoreOpsRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name, UID: types.UID(name), CreationTimestamp: at}}
	request.Spec.Type = kubedb.TypeVolumeExpansion
	for _, e := range chain(append([]events.Fact{events.Requested}, facts...)...) {
		request.Status = Fold(request.Status, e)
	}
	for i := range request.Status.Conditions {
		request.Status.Conditions[i].LastTransitionTime = at
	}
	return request
}

// pausedBy is a database that is paused for the request of that name and uid.
func pausedBy(database, name, uid string, ago time.Duration) *kubedb.Singlestore {
	condition := kubedb.PauseCondition(kubedb.Owner{Kind: kubedb.KindSinglestoreOpsRequest, Namespace: "demo", Name: name, UID: types.UID(uid)}, 1)
	condition.LastTransitionTime = metav1.NewTime(time.Now().Add(-ago))
	db := &kubedb.Singlestore{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: database, UID: types.UID(database)}}
	db.Status.Conditions = []kubedb.Condition{condition}
	return db
}

func TestCollector(t *testing.T) {
	t.Parallel()
	const long = 2 * time.Hour // longer than a step may take
	waiting := underWay("waiting", long)
	waiting.Status.Conditions = append(waiting.Status.Conditions, kubedb.Condition{Type: kubedb.ConditionWaiting, Status: metav1.ConditionTrue})
	patient := underWay("patient", long)
	patient.Spec.Timeout = &metav1.Duration{Duration: 24 * time.Hour}
	fresh := &kubedb.SinglestoreOpsRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "fresh", CreationTimestamp: metav1.Now()}}
	tests := []struct {
		name      string
		requests  []*kubedb.SinglestoreOpsRequest
		databases []*kubedb.Singlestore
		counted   map[string]float64
	}{
		{"nothing", nil, nil, map[string]float64{}},
		{
			"each step", []*kubedb.SinglestoreOpsRequest{
				fresh, underWay("a", 0), underWay("b", 0, events.Paused), underWay("c", 0, events.Paused, events.Expanded),
				underWay("d", 0, events.Paused, events.Expanded, events.Updated), underWay("e", 0, events.Paused, events.Failed),
				underWay("f", 0, events.Paused, events.Expanded, events.Updated, events.Resumed),
			}, nil,
			map[string]float64{
				"requests Pending admit": 1, "requests Progressing pause": 1, "requests Progressing expand": 1, "requests Progressing update": 1,
				"requests Progressing resume": 2, "requests Successful done": 1,
				"requests_awaiting pauser": 3, "requests_awaiting expander": 1, "requests_awaiting updater": 1,
			},
		},
		{
			"stalled is what says nothing of a wait and has no longer a timeout", []*kubedb.SinglestoreOpsRequest{
				waiting, patient, underWay("stalled", long), underWay("done", long, events.Paused, events.Failed, events.Resumed),
			}, nil,
			map[string]float64{"requests Progressing pause": 3, "requests_awaiting pauser": 3, "requests Failed done": 1, "requests_stalled": 1},
		},
		{
			"a pause is held by its own request until that ends",
			[]*kubedb.SinglestoreOpsRequest{underWay("holds", 0, events.Paused), underWay("done", 0, events.Paused, events.Failed, events.Resumed)},
			[]*kubedb.Singlestore{
				pausedBy("held", "holds", "holds", 0), pausedBy("over", "done", "done", 0), pausedBy("gone", "nobody", "x", 0), pausedBy("earlier", "holds", "another", 0),
			},
			map[string]float64{
				"requests Progressing expand": 1, "requests_awaiting expander": 1, "requests Failed done": 1, "databases_paused": 4, "pauses_orphaned": 3,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			counted := collected(t, test.requests, test.databases)
			delete(counted, "pause_oldest_seconds") // time goes on
			require.Equal(t, test.counted, counted, "%v", slices.Sorted(maps.Keys(counted)))
		})
	}
}

func TestOldestPause(t *testing.T) {
	t.Parallel()
	counted := collected(t, nil, []*kubedb.Singlestore{pausedBy("a", "x", "x", time.Hour), pausedBy("b", "y", "y", 3*time.Hour)})
	require.GreaterOrEqual(t, counted["pause_oldest_seconds"], (3 * time.Hour).Seconds())
	require.Less(t, counted["pause_oldest_seconds"], (4 * time.Hour).Seconds())
}
