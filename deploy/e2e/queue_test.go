// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Requests for one database run one at a time: those that wait say behind whom,
// and of several that wait the newest runs.
func TestF49_QueueOfOneDatabase(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("first", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	b.condition("first", kubedb.ConditionDatabasePauseSucceeded)

	b.create(fixture.Expansion("older", "sdb", fixture.Sizes{Leaf: "12Gi"}))
	waiting := b.condition("older", "Waiting")
	require.Equal(t, kubedb.OpsPending, waiting.Status.Phase)
	require.Contains(t, kubedb.FindCondition(waiting.Status.Conditions, "Waiting").Message, "behind SinglestoreOpsRequest "+b.namespace+"/first")
	// Names decide between requests of one second: in descending order, the last is the newest.
	b.create(fixture.Expansion("a-newest", "sdb", fixture.Sizes{Leaf: "13Gi"}))
	b.condition("a-newest", "Waiting")
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))

	require.Equal(t, kubedb.OpsSuccessful, b.ended("first").Status.Phase)
	newest := b.ended("a-newest")
	require.Equal(t, kubedb.OpsSuccessful, newest.Status.Phase, fixture.FailureOf(newest))
	require.Equal(t, "13Gi", b.capacity("data-sdb-leaf-1"))
	older := b.ended("older")
	require.Equal(t, kubedb.OpsSkipped, older.Status.Phase)
	skipped := kubedb.FindCondition(older.Status.Conditions, kubedb.ConditionSkipped)
	require.NotNil(t, skipped)
	require.Contains(t, skipped.Message, "skipped as "+b.namespace+"/a-newest is the most updated SinglestoreOpsRequest of type VolumeExpansion at ")
}

// A head that fails does not fail those behind it.
func TestF48_QueueGoesOnAfterAFailure(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("first", "sdb", fixture.Sizes{Leaf: "11Gi"}, timeout(4*time.Second)))
	b.condition("first", kubedb.ConditionDatabasePauseSucceeded)
	b.create(fixture.Expansion("second", "sdb", fixture.Sizes{Aggregator: "2Gi"}))

	require.Equal(t, kubedb.OpsFailed, b.ended("first").Status.Phase)
	second := b.ended("second")
	require.Equal(t, kubedb.OpsSuccessful, second.Status.Phase, fixture.FailureOf(second))
}

// The broker loses everything while a volume grows: the request is re-driven,
// and ends right.
func TestF55_StreamWipedInTheMiddle(t *testing.T) {
	b := setupOwn(t, stack.Options{Args: map[string][]string{"watcher": {"--redrive-after=2s"}}})
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))
	b.condition("grow", kubedb.ConditionDatabasePauseSucceeded)

	conn, err := b.stack.Connect(b.ctx, "wipe")
	require.NoError(t, err)
	stream, err := conn.JetStream().Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(b.ctx))
	require.NoError(t, conn.Close(b.ctx))
	require.NoError(t, b.stack.KillService("expander"))
	require.NoError(t, b.stack.StartService("expander"))
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	b.resumed("sdb")
}
