// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Requests of one name that are gone are told apart by their uid.
func TestDeparted(t *testing.T) {
	t.Parallel()
	var d departed
	first := events.Reference{Kind: kubedb.KindSinglestoreOpsRequest, Namespace: "demo", Name: "grow", UID: "1"}
	second := first
	second.UID = "2"
	key := types.NamespacedName{Namespace: "demo", Name: "grow"}
	require.Empty(t, d.of(key))
	for _, request := range []events.Reference{first, second, first} {
		require.Equal(t, key, d.add(request))
	}
	require.Equal(t, []events.Reference{first, second}, d.of(key))
	d.done(key, first)
	require.Equal(t, []events.Reference{second}, d.of(key))
	d.done(key, second)
	require.Empty(t, d.requests)
}

// C07: a chain whose database is not in this cluster may be another cluster's, and is
// not cancelled because its request is unknown here.
func TestC07_AnotherClustersChainIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := watcherOf(t, nil, nil, []*kubedb.Singlestore{pausedBy("sdb", "grow", "1", 0)})
	database := events.Reference{Kind: kubedb.KindSinglestore, Namespace: "demo", Name: "sdb", UID: "sdb"}
	require.True(t, w.hasDatabase(events.Operation{Database: database}))
	for _, other := range []events.Reference{
		{Namespace: "demo", Name: "sdb", UID: "of another cluster"}, {Namespace: "demo", Name: "other", UID: "sdb"}, {Namespace: "demo", Name: "sdb"},
	} {
		require.False(t, w.hasDatabase(events.Operation{Database: other}), "%v", other)
	}
}
