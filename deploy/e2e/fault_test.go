// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// realCRDs reports whether the tests run on KubeDB's own definitions.
func realCRDs() bool { return os.Getenv(cluster.CRDEnv) != "" }

// A volume that does not grow fails the request at the step's timeout, with the
// size of every volume, and the database is resumed.
func TestVolumeNeverGrows(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide, timeout(4*time.Second)))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	message := fixture.FailureOf(request)
	require.Contains(t, message, "expand Singlestore "+b.namespace+"/sdb: DeadlineExceeded: ")
	require.Contains(t, message, "data-sdb-aggregator-0 2Gi of 2Gi (Grown)")
	require.Contains(t, message, "data-sdb-leaf-1 10Gi of 11Gi (ControllerResizeInProgress")
	db := b.resumed("sdb")
	require.Equal(t, "10Gi", db.Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())

	// The storage recovers, and so does a new request.
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))
	b.create(fixture.Expansion("again", "sdb", fixture.Guide))
	request = b.ended("again")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
}

// A request that is deleted at once leaves the database as it was.
func TestDeletedAtOnce(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	for _, name := range []string{"first", "second", "third"} {
		b.create(fixture.Expansion(name, "sdb", fixture.Sizes{Leaf: "11Gi"}))
		require.NoError(t, b.client.SinglestoreOpsRequests(b.namespace).Delete(b.ctx, name, metav1.DeleteOptions{}))
		b.gone(name)
		b.resumed("sdb")
	}
	b.ready("sdb")
}

// A request that is deleted while a volume grows is gone at once, and cancelled: the
// database is resumed.
func TestF45_DeletedWhileGrowing(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	b.condition("grow", kubedb.ConditionDatabasePauseSucceeded)
	require.NoError(t, b.client.SinglestoreOpsRequests(b.namespace).Delete(b.ctx, "grow", metav1.DeleteOptions{}))

	b.gone("grow")
	db := b.resumed("sdb")
	require.Equal(t, "10Gi", db.Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
}

// Somebody else's pause is waited for, and never removed.
func TestF44_PausedBySomebodyElse(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.pauseByCLI("sdb")
	b.create(fixture.Expansion("impatient", "sdb", fixture.Sizes{Leaf: "11Gi"}, timeout(2*time.Second)))

	request := b.ended("impatient")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "Paused by KubeDB CLI tool")
	db, err := b.client.Singlestores(b.namespace).Get(b.ctx, "sdb", metav1.GetOptions{})
	require.NoError(t, err)
	require.True(t, kubedb.IsPaused(db), "somebody else's pause was removed")
	b.told("impatient", "Singlestore "+b.namespace+"/sdb is not resumed: it is still paused by somebody else: Paused by KubeDB CLI tool")
	require.Equal(t, "10Gi", b.capacity("data-sdb-leaf-0"))

	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	waiting := b.condition("grow", "Waiting")
	require.Equal(t, kubedb.OpsProgressing, waiting.Status.Phase)
	require.Contains(t, kubedb.FindCondition(waiting.Status.Conditions, "Waiting").Message, "Paused by KubeDB CLI tool")
	b.resumeByCLI("sdb")
	request = b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Nil(t, kubedb.FindCondition(request.Status.Conditions, "Waiting"))
}

func (b *bundle) pauseByCLI(name string) {
	b.Helper()
	b.changeConditions(name, func(db *kubedb.Singlestore) []kubedb.Condition {
		return kubedb.SetCondition(db.Status.Conditions, kubedb.Condition{
			Type: kubedb.ConditionPaused, Status: metav1.ConditionTrue, Reason: kubedb.ConditionPaused, Message: "Paused by KubeDB CLI tool",
		})
	})
}

func (b *bundle) resumeByCLI(name string) {
	b.Helper()
	b.changeConditions(name, func(db *kubedb.Singlestore) []kubedb.Condition {
		return kubedb.RemoveCondition(db.Status.Conditions, kubedb.ConditionPaused)
	})
}

func (b *bundle) changeConditions(name string, change func(*kubedb.Singlestore) []kubedb.Condition) {
	b.Helper()
	require.NoError(b, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		db, err := b.client.Singlestores(b.namespace).Get(b.ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		patch, err := kubedb.StatusPatch(db, map[string]any{"conditions": change(db)})
		if err != nil {
			return err
		}
		_, err = b.client.Singlestores(b.namespace).Patch(b.ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	}))
}

// A request with apply: IfReady waits for its database and says so.
func TestWaitsForReady(t *testing.T) {
	b := setup(t)
	db := fixture.Topology("sdb", "online-immediate")
	db.Spec.Topology.Leaf.PodTemplate = &kubedb.PodTemplate{Spec: kubedb.PodTemplateSpec{NodeSelector: map[string]string{"e2e": b.namespace}}}
	_, err := b.client.Singlestores(b.namespace).Create(b.ctx, db, metav1.CreateOptions{})
	require.NoError(t, err)
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))

	request := b.condition("grow", "Waiting")
	require.Equal(t, kubedb.OpsPending, request.Status.Phase)
	require.Contains(t, kubedb.FindCondition(request.Status.Conditions, "Waiting").Message, "not Ready")

	b.labelNode()
	request = b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Nil(t, kubedb.FindCondition(request.Status.Conditions, "Waiting"))
}

// Every service is killed, or asked to stop, while volumes grow: the request
// ends right after they are restarted.
func TestRestartOfEveryService(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))
	b.condition("grow", kubedb.ConditionDatabasePauseSucceeded)

	for _, service := range stack.Relay {
		require.NoError(t, b.stack.StopService(service))
		require.NoError(t, b.stack.StartService(service))
	}
	for _, service := range append(append([]string{}, stack.KubeDB...), stack.Relay...) {
		require.NoError(t, b.stack.KillService(service))
		require.NoError(t, b.stack.StartService(service))
	}
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	b.resumed("sdb")
}

// The dead man's switch: nobody works on a step, and the broker's timer ends it.
func TestF50_NobodyExpands(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	require.NoError(t, b.stack.StopService("expander"))
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, timeout(2*time.Second)))
	b.condition("grow", kubedb.ConditionDatabasePauseSucceeded)

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "expand Singlestore "+b.namespace+"/sdb: DeadlineExceeded: ")
	b.resumed("sdb")
	require.Equal(t, "10Gi", b.capacity("data-sdb-leaf-0"))

	// The expander that comes back later finds nothing to do.
	require.NoError(t, b.stack.StartService("expander"))
	b.create(fixture.Expansion("again", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	again := b.ended("again")
	require.Equal(t, kubedb.OpsSuccessful, again.Status.Phase, fixture.FailureOf(again))
}

// I7: when everything is delivered once more, nothing is written.
func TestF07_RedeliveryChangesNothing(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("grow").Status.Phase)
	before := b.relayWritesAtTheEnd()
	b.redeliverEverything()
	require.Equal(t, before, b.relayWrites(), "a redelivery wrote something")
}

// redeliverEverything makes the broker deliver every message to its consumers
// once more, and waits until all are handled.
func (b *bundle) redeliverEverything() {
	b.Helper()
	conn, err := b.stack.Connect(b.ctx, "redeliver")
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close(b.ctx)) }()
	js := conn.JetStream()
	for _, consumer := range events.Consumers() {
		if consumer.Stream != events.Stream {
			continue
		}
		_, err := js.ResetConsumerToSequence(b.ctx, consumer.Stream, consumer.Name, 1)
		require.NoError(b, err)
	}
	for _, consumer := range []events.Consumer{events.WatcherConsumer, events.PauserConsumer, events.ExpanderConsumer, events.UpdaterConsumer} {
		bound, err := js.Consumer(b.ctx, consumer.Stream, consumer.Name)
		require.NoError(b, err)
		require.Eventually(b, func() bool {
			info, err := bound.Info(b.ctx)
			return err == nil && info.NumPending == 0 && info.NumAckPending == 0 && info.AckFloor.Stream > 0
		}, patience, 50*time.Millisecond, "consumer %s did not handle everything", consumer.Name)
	}
}

// relayWritesAtTheEnd is relayWrites once the log has the last one, the Kubernetes
// event that follows the status. A write is seen by watchers a moment before it is
// logged.
func (b *bundle) relayWritesAtTheEnd() []string {
	b.Helper()
	var writes []string
	require.Eventually(b, func() bool {
		writes = b.relayWrites()
		return strings.Contains(strings.Join(writes, "\n"), ".resumed.")
	}, patience, 10*time.Millisecond, "the last write is not in the audit log")
	return writes
}

// relayWrites lists what the services of the relay wrote in the test's
// namespace.
func (b *bundle) relayWrites() []string {
	b.Helper()
	var list []string
	for _, write := range b.audit(stack.Relay...) {
		list = append(list, write.String())
	}
	return list
}

// audit lists what the services wrote in the test's namespace.
func (b *bundle) audit(services ...string) []invariant.Write {
	b.Helper()
	writes, err := invariant.ReadAuditLog(b.stack.Cluster.AuditLog)
	require.NoError(b, err)
	return slices.DeleteFunc(writes, func(write invariant.Write) bool {
		return write.Namespace != b.namespace || !slices.Contains(services, write.Service)
	})
}

// fault makes the storage driver misbehave for a claim until the test ends.
func (b *bundle) fault(claim string, fault cluster.Fault) {
	b.Helper()
	require.NoError(b, b.stack.Cluster.SetFault(b.ctx, cluster.ClaimVolume(b.namespace, claim), fault))
}

// A claim that is deleted under way fails the request at once, and is left alone.
func TestF31_ClaimIsBeingDeleted(t *testing.T) {
	b := setup(t)
	b.growing("grow", "sdb")
	b.checker.Excuse("data-sdb-leaf-1")
	// Its pod keeps it from going.
	require.NoError(t, b.core.CoreV1().PersistentVolumeClaims(b.namespace).Delete(b.ctx, "data-sdb-leaf-1", metav1.DeleteOptions{}))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "data-sdb-leaf-1: ClaimTerminating: ")
	b.resumed("sdb")
}
