// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// quickRedrive has the watcher compare requests with their chains soon.
var quickRedrive = map[string][]string{"watcher": {"--redrive-after=2s"}}

// A request that is deleted with whatever it has of finalizers taken off by force
// leaves no pause behind.
func TestF45_FinalizerRemovedByForce(t *testing.T) {
	b := setup(t)
	b.growing("grow", "sdb")
	require.NoError(t, b.delete("grow"))
	b.patchRequest("grow", `{"metadata":{"finalizers":null}}`)
	b.gone("grow")
	b.resumed("sdb")
}

// A request that was deleted by force while its chain was lost leaves no pause
// behind either.
func TestF45_RequestAndChainAreGone(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	owner := kubedb.Owner{Kind: kubedb.KindSinglestoreOpsRequest, Namespace: b.namespace, Name: "long-gone", UID: "0123-4567"}
	b.changeConditions("sdb", func(db *kubedb.Singlestore) []kubedb.Condition {
		return kubedb.SetCondition(db.Status.Conditions, kubedb.PauseCondition(owner, db.Generation))
	})
	b.resumed("sdb")
}

// A request that has ended, and whose chain is lost, leaves no pause behind that
// comes late.
func TestF45_RequestHasEndedAndItsChainIsGone(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	request := b.ended("grow")
	conn, err := b.stack.Connect(b.ctx, "lose")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(b.ctx)) }()
	stream, err := conn.JetStream().Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	key := events.ChainKey{Kind: "singlestore", Namespace: b.namespace, UID: string(request.UID)}
	require.NoError(t, stream.Purge(b.ctx, jetstream.WithPurgeSubject(key.Filter())))
	b.changeConditions("sdb", func(db *kubedb.Singlestore) []kubedb.Condition {
		return kubedb.SetCondition(db.Status.Conditions, kubedb.PauseCondition(kubedb.OwnerOf(request), db.Generation))
	})
	b.resumed("sdb")
	request = b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, "what has ended stays as it ended")
}

// A request may be cancelled at every step: its database is resumed, the volumes
// keep what they have, nothing else changes, and the request is gone.
func TestF46_CancelAtEveryStep(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	type state struct{ claims, template, database string }
	untouched, grown, done := state{"10Gi 10Gi", "10Gi", "10Gi"}, state{"11Gi 11Gi", "10Gi", "10Gi"}, state{"11Gi 11Gi", "11Gi", "11Gi"}
	steps := []struct {
		fact    events.Fact
		stopped string // the service that would answer it
		leaves  state
	}{
		{events.Requested, "pauser", untouched},
		{events.Paused, "expander", untouched},
		{events.Paused, "", grown}, // while a volume grows
		{events.Expanded, "updater", grown},
		{events.Updated, "pauser", done},
	}
	var creating errgroup.Group
	for i := range steps {
		creating.Go(func() error {
			b.createDatabase(fixture.Topology(fmt.Sprintf("sdb-%d", i), fixture.ClassOnline))
			return nil
		})
	}
	require.NoError(t, creating.Wait())
	for i, step := range steps {
		db := fmt.Sprintf("sdb-%d", i)
		request := b.reach(db, step.fact, step.stopped)
		require.NoError(t, b.delete(db))
		b.gone(db)
		if step.stopped == "pauser" { // it must not answer before the request is cancelled
			b.chainBecomes(request, events.Cancelled)
			require.NoError(t, b.stack.StartService(step.stopped))
		}
		require.Equal(t, events.OutcomeCancelled, b.chainBecomes(request, events.Resumed).Operation.Outcome)
		if step.stopped != "" && step.stopped != "pauser" {
			require.NoError(t, b.stack.StartService(step.stopped))
		}
		now := b.resumed(db)
		set, err := b.client.PetSets(b.namespace).Get(b.ctx, db+"-leaf", metav1.GetOptions{})
		require.NoError(t, err)
		requested := func(claim string) string { return b.claim(claim).Spec.Resources.Requests.Storage().String() }
		left := state{
			claims:   requested("data-"+db+"-leaf-0") + " " + requested("data-"+db+"-leaf-1"),
			template: set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String(),
			database: now.Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String(),
		}
		require.Equal(t, step.leaves, left, "cancelled after %s", step.fact)
	}
}

// reach begins a request of the database's name, and returns when its chain ends
// with the fact, which the service that is stopped does not answer. Where none
// is, a volume grows that never will have grown.
func (b *bundle) reach(db string, fact events.Fact, stopped string) *kubedb.SinglestoreOpsRequest {
	b.Helper()
	stuck := "data-" + db + "-leaf-1"
	b.fault(stuck, cluster.Fault{Never: true})
	if stopped != "" && fact != events.Updated {
		require.NoError(b, b.stack.StopService(stopped))
	}
	request := b.create(fixture.Expansion(db, db, fixture.Sizes{Leaf: "11Gi"}))
	if stopped == "" {
		b.capacityBecomes("data-"+db+"-leaf-0", "11Gi")
		return request
	}
	if fact == events.Updated { // the pauser is needed before
		b.condition(db, kubedb.ConditionDatabasePauseSucceeded)
		require.NoError(b, b.stack.StopService(stopped))
	}
	require.NoError(b, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, stuck)))
	b.chainBecomes(request, fact)
	return request
}

// A database that is deleted under way ends its request, and nothing is made
// again for it.
func TestF47_DatabaseDeleted(t *testing.T) {
	b := setup(t)
	b.growing("grow", "sdb")
	b.checker.ExcuseDatabase("sdb")
	require.NoError(t, b.client.Singlestores(b.namespace).Delete(b.ctx, "sdb", metav1.DeleteOptions{}))
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "Singlestore "+b.namespace+"/sdb: DatabaseGone: the database was deleted while the request was under way")
	b.told("grow", "Singlestore "+b.namespace+"/sdb is not resumed: it is gone")
	_, err := b.client.Singlestores(b.namespace).Get(b.ctx, "sdb", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
}

// Others write to the database and to the request all the time: nobody's change
// is lost, and the request ends right without the Kubernetes events, which may be
// gone any time.
func TestF43_F56_F57_OthersWriteAllTheTime(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	ctx, stop := context.WithCancel(b.ctx)
	done := make(chan int)
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"e2e/turn":"%d"}}}`, n)
			_, _ = b.client.Singlestores(b.namespace).Patch(ctx, "sdb", types.MergePatchType, patch, metav1.PatchOptions{})
			_, _ = b.client.SinglestoreOpsRequests(b.namespace).Patch(ctx, "grow", types.MergePatchType, patch, metav1.PatchOptions{})
			_ = b.core.EventsV1().Events(b.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		}
		done <- n
	}()
	request := b.ended("grow")
	stop()
	require.Positive(t, <-done)
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.NotEmpty(t, b.resumed("sdb").Annotations["e2e/turn"])
}

// The API server stands still for half a minute while a volume grows: nothing
// fails for it, and no watch misses the end.
func TestF53_F54_APIServerStopped(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.growing("grow", "sdb")
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))
	require.NoError(t, syscall.Kill(b.stack.Cluster.PID(), syscall.SIGSTOP))
	<-time.After(30 * time.Second) // how long the fault lasts
	require.NoError(t, syscall.Kill(b.stack.Cluster.PID(), syscall.SIGCONT))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	b.resumed("sdb")
}

// The stream is deleted under the running services, and provisioned again: they
// find it, and the request is re-driven.
func TestF55_StreamDeletedInTheMiddle(t *testing.T) {
	b := setupOwn(t, stack.Options{Args: quickRedrive})
	b.growing("grow", "sdb")
	conn, err := b.stack.Connect(b.ctx, "wipe")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(b.ctx)) }()
	js := conn.JetStream()
	require.NoError(t, js.DeleteStream(b.ctx, events.Stream))
	require.NoError(t, bus.Provision(b.ctx, js, 1))
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
}

// Several watchers and workers hold the queue of a database: one request in
// progress at a time, as the invariants' checker sees, and one that is done.
func TestF08_SeveralReplicasOneDatabase(t *testing.T) {
	b := setupOwn(t, stack.Options{Replicas: 2})
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	names := []string{"a", "b", "c", "d", "e"}
	for i, name := range names {
		b.create(fixture.Expansion(name, "sdb", fixture.Sizes{Leaf: fmt.Sprintf("%dGi", 11+i)}))
	}
	successful := 0
	for _, name := range names {
		request := b.ended(name)
		if request.Status.Phase == kubedb.OpsSuccessful {
			successful++
		}
	}
	require.Positive(t, successful)
	b.resumed("sdb")
}

// growing begins an expansion whose last leaf does not grow for now.
func (b *bundle) growing(name, db string) {
	b.Helper()
	b.createDatabase(fixture.Topology(db, fixture.ClassOnline))
	b.fault("data-"+db+"-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion(name, db, fixture.Sizes{Leaf: "11Gi"}))
	b.condition(name, kubedb.ConditionDatabasePauseSucceeded)
}

func (b *bundle) delete(name string) error {
	return b.client.SinglestoreOpsRequests(b.namespace).Delete(b.ctx, name, metav1.DeleteOptions{})
}

// patchRequest changes a request that may be gone already.
func (b *bundle) patchRequest(name, patch string) {
	b.Helper()
	_, err := b.client.SinglestoreOpsRequests(b.namespace).Patch(b.ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		require.NoError(b, err)
	}
}

// chainBecomes waits until the chain of a request, which may be gone, ends with the
// fact.
func (b *bundle) chainBecomes(request *kubedb.SinglestoreOpsRequest, fact events.Fact) events.Event {
	b.Helper()
	conn, err := b.stack.Connect(b.ctx, "look")
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close(b.ctx)) }()
	key := events.ChainKey{Kind: "singlestore", Namespace: b.namespace, UID: string(request.UID)}
	var last events.Event
	require.Eventually(b, func() bool {
		last, err = conn.Chain("test").Last(b.ctx, key)
		return err == nil && last.Fact == fact
	}, patience, 20*time.Millisecond, "%s: the chain does not become %s", request.Name, fact)
	return last
}

// told waits until a Kubernetes event of the request says so, and requires that
// none says that its database was resumed.
func (b *bundle) told(request, note string) {
	b.Helper()
	require.Eventually(b, func() bool {
		list, err := b.core.EventsV1().Events(b.namespace).List(b.ctx, metav1.ListOptions{})
		require.NoError(b, err)
		found := false
		for _, event := range list.Items {
			if event.Regarding.Name == request {
				require.NotContains(b, event.Note, "Successfully resumed")
				found = found || strings.Contains(event.Note, note)
			}
		}
		return found
	}, patience, 50*time.Millisecond, "no event of %s says %q", request, note)
}

// capacityBecomes waits until the claim has the capacity. There may be none yet.
func (b *bundle) capacityBecomes(claim, capacity string) {
	b.Helper()
	require.Eventually(b, func() bool {
		now, err := b.core.CoreV1().PersistentVolumeClaims(b.namespace).Get(b.ctx, claim, metav1.GetOptions{})
		return err == nil && now.Status.Capacity.Storage().String() == capacity
	}, patience, 20*time.Millisecond, "%s does not become %s", claim, capacity)
}
