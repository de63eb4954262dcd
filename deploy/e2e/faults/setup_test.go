// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// lane is a namespace with a broker and services of its own.
type lane struct {
	t         *testing.T
	ctx       context.Context
	stack     *stack.Stack
	client    *kubedb.Client
	namespace string
	// points is where faults are put ([faultpoint]).
	points string
	// requests is a live view of the namespace's requests.
	requests *view
	// databases is one of its databases.
	databases *view
	checker   *invariant.Checker
}

// newLane returns a lane. The invariants are checked, and that no effect was
// there twice, when the test ends.
func newLane(t *testing.T, options stack.Options) *lane {
	t.Helper()
	notrun.SkipShort(t)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	core := shared.Clients.Core
	namespace, err := core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "faults-"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	l := &lane{t: t, ctx: ctx, client: shared.Clients.KubeDB, namespace: namespace.Name, points: t.TempDir()}
	options.Cluster, options.Binary, options.Directory, options.Namespace = shared.Cluster, binary, t.TempDir(), l.namespace
	options.Environment = []string{"OPSRELAY_FAULTPOINTS=" + l.points}
	if options.Processes == nil {
		options.Processes = stack.Relay
	}
	l.checker, err = invariant.Watch(ctx, invariant.Options{
		Client: l.client, Core: core, Namespace: l.namespace, AuditLog: shared.Cluster.AuditLog,
	})
	require.NoError(t, err)
	l.requests = l.view(l.client.SinglestoreOpsRequestInformer(l.namespace))
	l.databases = l.view(l.client.SinglestoreInformer(l.namespace))
	l.stack, err = stack.Start(ctx, options)
	require.NoError(t, err)
	t.Cleanup(func() { l.finish(options.Processes) })
	return l
}

// finish stops the services and checks the invariants; after a failure it prints
// what a person needs.
func (l *lane) finish(instances []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.stack.Stop(); err != nil {
		l.t.Errorf("stop: %v", err)
	}
	broken, err := l.checker.Check(ctx)
	if err != nil {
		l.t.Errorf("check the invariants: %v", err)
	}
	writes, err := invariant.ReadAuditLog(shared.Cluster.AuditLog)
	if err != nil {
		l.t.Errorf("read the audit log: %v", err)
	}
	uncertain, err := invariant.ReadUncertainWrites(shared.Cluster.AuditLog)
	if err != nil {
		l.t.Errorf("read the audit log: %v", err)
	}
	for _, line := range append(broken, twice(writes, uncertain, l.namespace)...) {
		l.t.Errorf("%s", line)
	}
	if !l.t.Failed() {
		return
	}
	l.explainClaims(ctx)
	for _, instance := range instances {
		data, err := os.ReadFile(l.stack.LogFile(instance))
		if err != nil {
			l.t.Logf("log of %s: %v", instance, err)
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			if strings.Contains(line, `"level":"error"`) || strings.Contains(line, `"level":"warn"`) || strings.Contains(line, "faultpoint") || strings.Contains(line, "message handled") {
				l.t.Logf("%s: %s", instance, line)
			}
		}
	}
}

// explainClaims prints how far the claims are.
func (l *lane) explainClaims(ctx context.Context) {
	claims, err := shared.Clients.Core.CoreV1().PersistentVolumeClaims(l.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		l.t.Logf("list claims: %v", err)
		return
	}
	for _, claim := range claims.Items {
		l.t.Logf("claim %s asks for %s: %+v", claim.Name, claim.Spec.Resources.Requests.Storage(), claim.Status)
	}
}

// view is a live view of objects of one kind in the lane's namespace.
type view struct {
	informer cache.SharedIndexInformer
	mu       sync.Mutex
	changed  chan struct{} // closed at the next change
}

func (l *lane) view(informer cache.SharedIndexInformer) *view {
	v := &view{informer: informer, changed: make(chan struct{})}
	notify := func(any) {
		v.mu.Lock()
		defer v.mu.Unlock()
		close(v.changed)
		v.changed = make(chan struct{})
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: notify, UpdateFunc: func(_, object any) { notify(object) }, DeleteFunc: notify,
	})
	require.NoError(l.t, err)
	running, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() { defer close(stopped); informer.RunWithContext(running) }()
	l.t.Cleanup(func() { stop(); <-stopped })
	require.True(l.t, cache.WaitForCacheSync(l.ctx.Done(), informer.HasSynced))
	return v
}

// await waits until the condition holds of the object of that name; nil when
// there is none.
func await[T any](l *lane, v *view, name, what string, holds func(*T) bool) *T {
	object, err := look(l, v, name, holds)
	require.NoError(l.t, err, what)
	return object
}

// look is await for any goroutine.
func look[T any](l *lane, v *view, name string, holds func(*T) bool) (*T, error) {
	deadline := time.After(patience)
	for {
		v.mu.Lock()
		changed := v.changed
		v.mu.Unlock()
		var object *T
		found, exists, err := v.informer.GetStore().GetByKey(l.namespace + "/" + name)
		if err != nil {
			return nil, err
		}
		if exists {
			object = found.(*T)
		}
		if holds(object) {
			return object, nil
		}
		select {
		case <-changed:
		case <-deadline:
			return nil, fmt.Errorf("%s %s: timed out; last seen: %+v", l.namespace, name, object)
		}
	}
}

// ended waits until the request has a terminal phase, and returns it as it was
// then.
func (l *lane) ended(name string) *kubedb.SinglestoreOpsRequest {
	return await(l, l.requests, name, "ended", func(r *kubedb.SinglestoreOpsRequest) bool {
		return r != nil && r.Status.Phase.Terminal()
	})
}

// condition waits until the request has a True condition of the type.
func (l *lane) condition(name, condition string) {
	await(l, l.requests, name, condition, func(r *kubedb.SinglestoreOpsRequest) bool {
		return r != nil && kubedb.IsConditionTrue(r.Status.Conditions, condition)
	})
}

// create creates the request.
func (l *lane) create(request *kubedb.SinglestoreOpsRequest) {
	_, err := l.client.SinglestoreOpsRequests(l.namespace).Create(l.ctx, request, metav1.CreateOptions{})
	require.NoError(l.t, err)
}

// createDatabases creates the databases and waits until they are Ready.
func (l *lane) createDatabases(databases ...*kubedb.Singlestore) {
	for _, db := range databases {
		_, err := l.client.Singlestores(l.namespace).Create(l.ctx, db, metav1.CreateOptions{})
		require.NoError(l.t, err)
	}
	for _, db := range databases {
		await(l, l.databases, db.Name, "Ready", func(db *kubedb.Singlestore) bool {
			return db != nil && db.Status.Phase == kubedb.DatabaseReady
		})
	}
}

// requestNow returns the request as it is now.
func (l *lane) requestNow(name string) (*kubedb.SinglestoreOpsRequest, error) {
	return l.client.SinglestoreOpsRequests(l.namespace).Get(l.ctx, name, metav1.GetOptions{})
}

// createOnStatefulSet creates a standalone database with a StatefulSet, if there is
// none yet, and waits until its pod is Ready. The provisioner makes no PetSet for a
// halted one.
func (l *lane) createOnStatefulSet(db *kubedb.Singlestore) {
	db.Spec.Halted = true
	created, err := l.client.Singlestores(l.namespace).Create(l.ctx, db, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return
	}
	require.NoError(l.t, err)
	_, err = shared.Clients.Core.AppsV1().StatefulSets(l.namespace).Create(l.ctx, stack.StatefulSet(created, created.Components()[0]), metav1.CreateOptions{})
	require.NoError(l.t, err)
	require.NoError(l.t, l.client.WaitStatefulSet(l.ctx, l.namespace, db.Name, func(set *kubedb.StatefulSet) bool {
		return set != nil && set.Status.ReadyReplicas == 1
	}))
}

// resumed requires that nobody holds the database paused.
func (l *lane) resumed(name string) {
	db, err := l.client.Singlestores(l.namespace).Get(l.ctx, name, metav1.GetOptions{})
	require.NoError(l.t, err)
	require.False(l.t, kubedb.IsPaused(db), "%s is paused: %+v", name, db.Status.Conditions)
}

// isResumed waits until nobody holds the database paused.
func (l *lane) isResumed(name string) {
	ctx, cancel := context.WithTimeout(l.ctx, patience)
	defer cancel()
	require.NoError(l.t, l.client.WaitSinglestore(ctx, l.namespace, name, func(db *kubedb.Singlestore) bool {
		return db != nil && !kubedb.IsPaused(db)
	}), "%s stays paused", name)
}

// settled waits until every message has been handled, but as a timer: there facts wait
// for their deadlines.
func (l *lane) settled() {
	conn, err := l.stack.Connect(l.ctx, "settled")
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, conn.Close(l.ctx)) }()
	for _, consumer := range events.Consumers() {
		if consumer.Name == events.TimeoutConsumer.Name {
			continue
		}
		bound, err := conn.JetStream().Consumer(l.ctx, consumer.Stream, consumer.Name)
		require.NoError(l.t, err)
		require.Eventually(l.t, func() bool {
			info, err := bound.Info(l.ctx)
			return err == nil && info.NumPending == 0 && info.NumAckPending == 0
		}, patience, 10*time.Millisecond, "consumer %s has not handled everything", consumer.Name)
	}
}

// arm tells the running instances of a service what to do at which point; an
// empty fault disarms them.
func (l *lane) arm(service, fault string) {
	file := filepath.Join(l.points, service)
	require.NoError(l.t, os.WriteFile(file+".new", []byte(fault), 0o600))
	require.NoError(l.t, os.Rename(file+".new", file))
}

// topology is the database of KubeDB's guide. Its volumes need their node to grow.
func topology(name string) *kubedb.Singlestore { return fixture.Topology(name, fixture.ClassNode) }

// standalone is a database of one node of 1Gi.
func standalone(name string) *kubedb.Singlestore {
	return fixture.Standalone(name, fixture.ClassOnline)
}

// expansion is an Online request for the database. Sizes are in Gi; 0 leaves one
// out.
func expansion(name, database string, node, aggregator, leaf int) *kubedb.SinglestoreOpsRequest {
	size := func(gi int) string {
		if gi == 0 {
			return ""
		}
		return fmt.Sprintf("%dGi", gi)
	}
	return fixture.Expansion(name, database, fixture.Sizes{Node: size(node), Aggregator: size(aggregator), Leaf: size(leaf)})
}
