// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Row 9: what the expander has seen of the claims is old. Meanwhile somebody has
// asked for more than it is about to: that is not lowered. And what has grown
// without its seeing is not taken for grown before it does.
func TestF09_TheViewOfTheClaimsIsOld(t *testing.T) {
	t.Parallel()
	l, proxy := newLaneBehindProxy(t, "expander")
	undo := l.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	release := proxy.holdWatches(l, "persistentvolumeclaims")
	l.patchClaim("data-sdb-leaf-1", `{"spec":{"resources":{"requests":{"storage":"20Gi"}}}}`)
	l.create(expansion("grow", "sdb", 0, 0, 11))
	require.Eventually(t, func() bool { return len(proxy.refused()) > 0 }, patience, quick, "nothing was written from the old view")
	require.Equal(t, []string{"data-sdb-leaf-1"}, proxy.refused())
	l.claimBecomes("data-sdb-leaf-0", "asked to grow", func(requested, _ string) bool { return requested == "11Gi" })
	requested, _ := l.claim("data-sdb-leaf-1")
	require.Equal(t, "20Gi", requested)

	release()
	undo()
	l.mustEnd("grow", kubedb.OpsSuccessful)
	requested, capacity := l.claim("data-sdb-leaf-1")
	require.Equal(t, []string{"20Gi", "20Gi"}, []string{requested, capacity})
}

// Row 9: what the pauser has seen of the databases is old. Somebody else has paused
// the database meanwhile: that pause stays and is waited for. And where its own
// pause was has another condition come: that one stays, too.
func TestF09_TheViewOfTheDatabasesIsOld(t *testing.T) {
	t.Parallel()
	l, proxy := newLaneBehindProxy(t, "pauser")
	release := proxy.holdWatches(l, kubedb.ResourceSinglestores)
	pause := kubedb.Condition{Type: kubedb.ConditionPaused, Status: metav1.ConditionTrue, Reason: "Paused", Message: "Paused by KubeDB CLI tool"}
	l.changeConditions("sdb", func(list []kubedb.Condition) []kubedb.Condition { return kubedb.SetCondition(list, pause) })
	l.create(expansion("grow", "sdb", 0, 0, 11))
	require.Eventually(t, func() bool { return len(proxy.refused()) > 0 }, patience, quick, "nothing was written from the old view")
	require.Equal(t, []string{"sdb"}, proxy.refused())
	await(l, l.databases, "sdb", "paused by somebody else", func(db *kubedb.Singlestore) bool {
		owner, paused := kubedb.PausedBy(db)
		return paused && owner.IsZero()
	})
	release()
	undo := l.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	l.changeConditions("sdb", func(list []kubedb.Condition) []kubedb.Condition {
		return kubedb.RemoveCondition(list, kubedb.ConditionPaused)
	})
	l.claimBecomes("data-sdb-leaf-0", "asked to grow", func(requested, _ string) bool { return requested == "11Gi" })

	release = proxy.holdWatches(l, kubedb.ResourceSinglestores)
	other := kubedb.Condition{Type: "Observed", Status: metav1.ConditionTrue, Reason: "Observed", LastTransitionTime: metav1.Now()}
	l.changeConditions("sdb", func(list []kubedb.Condition) []kubedb.Condition { return append([]kubedb.Condition{other}, list...) })
	undo()
	l.mustEnd("grow", kubedb.OpsSuccessful)
	release()
	await(l, l.databases, "sdb", "resumed, and observed", func(db *kubedb.Singlestore) bool {
		return !kubedb.IsPaused(db) && kubedb.IsConditionTrue(db.Status.Conditions, other.Type)
	})
}

// newLaneBehindProxy returns a lane with the database sdb and the service behind a
// proxy. The service has worked for a request, so that its view is complete.
func newLaneBehindProxy(t *testing.T, service string) (*lane, *proxy) {
	l := newLane(t, stack.Options{})
	proxy := l.startBehindProxy(service)
	l.createDatabases(topology("sdb"))
	l.create(expansion("first", "sdb", 0, 2, 0))
	l.mustEnd("first", kubedb.OpsSuccessful)
	return l, proxy
}

// changeConditions changes the conditions of a database, as somebody else.
func (l *lane) changeConditions(database string, change func([]kubedb.Condition) []kubedb.Condition) {
	client := l.client.Singlestores(l.namespace)
	require.NoError(l.t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		db, err := client.Get(l.ctx, database, metav1.GetOptions{})
		if err != nil {
			return err
		}
		patch, err := kubedb.StatusPatch(db, map[string]any{"conditions": change(db.Status.Conditions)})
		if err != nil {
			return err
		}
		_, err = client.Patch(l.ctx, database, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	}))
}

// Row 46, at the worst moment: a write is on its way to the API server, slowly,
// when the request is deleted. All is undone, the request is gone, and then the
// write arrives. The database does not stay paused by it, and the next request
// goes its way.
func TestF46_AWriteArrivesAfterTheEnd(t *testing.T) {
	t.Parallel()
	for service, path := range map[string]string{
		"pauser":   "/singlestores/sdb/status",
		"expander": "/persistentvolumeclaims/data-sdb-leaf-1",
		"updater":  "/petsets/sdb-leaf",
	} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			l := newLane(t, stack.Options{AckWait: time.Second})
			proxy := l.startBehindProxy(service)
			l.createDatabases(topology("sdb"))
			arrived, release := proxy.holdPatch(l, path)
			l.create(expansion("grow", "sdb", 0, 0, 11))
			<-arrived
			require.NoError(t, l.client.SinglestoreOpsRequests(l.namespace).Delete(l.ctx, "grow", metav1.DeleteOptions{}))
			await(l, l.requests, "grow", "gone", func(r *kubedb.SinglestoreOpsRequest) bool { return r == nil })
			l.settled()
			l.isResumed("sdb")

			before := l.writesOf(service)
			release()
			// It is refused where anybody has changed the object since.
			require.Eventually(t, func() bool { return l.writesOf(service) > before || len(proxy.refused()) > 0 }, patience, quick, "the write does not arrive")
			await(l, l.databases, "sdb", "resumed", func(db *kubedb.Singlestore) bool { return !kubedb.IsPaused(db) })
			l.create(expansion("again", "sdb", 0, 0, 12))
			l.mustEnd("again", kubedb.OpsSuccessful)
		})
	}
}

// writesOf counts what the service has written in the lane's namespace.
func (l *lane) writesOf(service string) int {
	writes, err := invariant.ReadAuditLog(shared.Cluster.AuditLog)
	require.NoError(l.t, err)
	count := 0
	for _, write := range writes {
		if write.Namespace == l.namespace && write.Service == service {
			count++
		}
	}
	return count
}

// claim returns what a claim asks for, and what it has.
func (l *lane) claim(name string) (requested, capacity string) {
	claim, err := shared.Clients.Core.CoreV1().PersistentVolumeClaims(l.namespace).Get(l.ctx, name, metav1.GetOptions{})
	require.NoError(l.t, err)
	return claim.Spec.Resources.Requests.Storage().String(), claim.Status.Capacity.Storage().String()
}

// claimBecomes waits until it holds of what a claim asks for and has.
func (l *lane) claimBecomes(name, what string, holds func(requested, capacity string) bool) {
	require.Eventually(l.t, func() bool { return holds(l.claim(name)) }, patience, quick, "%s is not %s", name, what)
}

// patchClaim changes a claim, as somebody else.
func (l *lane) patchClaim(name, patch string) {
	_, err := shared.Clients.Core.CoreV1().PersistentVolumeClaims(l.namespace).Patch(l.ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(l.t, err)
}
