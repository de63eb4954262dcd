// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package watcher stands between the Kubernetes API and the relay: it admits
// operation requests, and folds what the relay says back into their status.
//
// One way, it watches the requests: a request that can work begins a chain with
// requested, one that cannot with rejected; a request that is deleted under way
// continues its chain with cancelled, one whose database is deleted with failed; a
// chain that the broker lost is begun again. The other way, it consumes every fact
// and writes phase and conditions as KubeDB writes them. In Kubernetes it writes
// the requests' status and Kubernetes events, and nothing else; of the requests
// themselves it takes off the finalizer that version 1 put there.
package watcher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/control"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// Config is what a watcher works with.
type Config struct {
	// Client needs list and watch on requests and databases, get on both and on
	// PetSets, patch on the requests' status; with patch on requests it takes off
	// what version 1 has left there.
	Client *kubedb.Client
	// Core needs create on events. With get on claims, volumes and StorageClasses,
	// and list on quotas, limit ranges, storage capacities and disruption budgets,
	// requests are planned by them; what is missing is not checked, and said. With
	// list and watch on namespaces, requests in one that is being deleted are
	// cancelled at once.
	Core kubernetes.Interface
	// Policy is what requests are admitted by, beyond the cluster's own rules.
	Policy plan.Policy
	// Chain begins and ends chains.
	Chain *bus.Chain
	// Namespace limits what is watched; empty means all.
	Namespace string
	// StepTimeout is how long a step may take of a request that does not say.
	StepTimeout time.Duration
	// RedriveAfter is how long a request may be under way without news before it
	// is compared with its chain.
	RedriveAfter time.Duration
	// LeaveOtherTypes leaves requests of types other than VolumeExpansion to
	// somebody else instead of rejecting them.
	LeaveOtherTypes bool
	// Installation names this installation among those in the cluster; the replicas
	// of one have the same. See [kubedb.CheckInstallation].
	Installation string
	// Workers is how many requests are looked at side by side.
	Workers int
	// Registerer gets the metrics of requests and pauses. It may be nil.
	Registerer prometheus.Registerer
}

// Watcher is this service: a controller of requests, and a step that consumes
// facts.
type Watcher struct {
	Config

	planner   *plan.Planner
	requests  cache.SharedIndexInformer
	written   cache.MutationCache // the requests as we wrote them, where the watch lags behind
	databases cache.SharedIndexInformer
	// namespaces are those that are being deleted.
	namespaces cache.SharedIndexInformer
	loop       *control.Loop
	waits      waits
	growing    growing
	notes      notes
	departed   departed
	refusals   refusals
	rooms      rooms
	started    time.Time
	told       sync.Map // the names of other installations that were told of
}

// needs is what a watcher must be allowed to do to begin with a request: nobody
// would be told of one whose status cannot be written.
var needs = []plan.Right{{Verb: "patch", Group: kubedb.OpsGroupVersion.Group, Resource: kubedb.ResourceSinglestoreOpsRequests, Subresource: "status"}}

// byDatabase indexes the requests that have not ended by their database.
const byDatabase = "database"

// New returns a watcher that is to be Run.
func New(config Config) (*Watcher, error) {
	w := &Watcher{
		Config:    config,
		planner:   &plan.Planner{Client: config.Client, Core: config.Core, Policy: config.Policy, Needs: needs},
		requests:  config.Client.SinglestoreOpsRequestInformer(config.Namespace),
		databases: config.Client.SinglestoreInformer(config.Namespace),
		waits:     waits{newest: map[types.NamespacedName]map[string]heard{}},
		started:   time.Now(),
	}
	var err error
	if err := w.requests.SetTransform(onlyInstallation); err != nil {
		return nil, fmt.Errorf("watch requests: %w", err)
	}
	if w.written, err = newWritten(w.requests); err != nil {
		return nil, err
	}
	if err := w.requests.AddIndexers(cache.Indexers{byDatabase: unfinished}); err != nil {
		return nil, fmt.Errorf("index requests: %w", err)
	}
	if err := w.databases.SetTransform(slim); err != nil {
		return nil, fmt.Errorf("watch databases: %w", err)
	}
	if err := w.databases.AddIndexers(cache.Indexers{byPause: pausedFor}); err != nil {
		return nil, fmt.Errorf("index databases: %w", err)
	}
	w.loop = control.New("requests", config.Workers, w.sync)
	if err := w.loop.Watch(w.requests, w.concerned); err != nil {
		return nil, err
	}
	// A database that becomes Ready, or is resumed, may be what a request waits
	// for.
	if err := w.loop.Watch(w.databases, w.waiting); err != nil {
		return nil, err
	}
	if err := w.noticeDeparted(); err != nil {
		return nil, err
	}
	if w.namespaces, err = w.newNamespaces(); err != nil {
		return nil, err
	}
	if config.Registerer != nil {
		if err := config.Registerer.Register(&collector{Watcher: w}); err != nil {
			return nil, fmt.Errorf("register the metrics of requests: %w", err)
		}
	}
	return w, nil
}

// slim keeps of a database what is judged here: its status. Its spec holds whole
// pod templates.
func slim(object any) (any, error) {
	db, ok := object.(*kubedb.Singlestore)
	if !ok {
		return object, nil
	}
	return &kubedb.Singlestore{
		ObjectMeta: metav1.ObjectMeta{
			Name: db.Name, Namespace: db.Namespace, UID: db.UID, ResourceVersion: db.ResourceVersion, Generation: db.Generation,
			CreationTimestamp: db.CreationTimestamp, DeletionTimestamp: db.DeletionTimestamp,
		},
		Status: db.Status,
	}, nil
}

// Run watches until the context ends.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.Chain.OnWritable(w.lookAtAll)()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { w.namespaces.RunWithContext(ctx) }) // nothing waits for it: it may not be allowed
	running.Go(func() {
		if cache.WaitForCacheSync(ctx.Done(), w.HasSynced) {
			w.findDeparted(ctx)
		}
	})
	running.Go(func() { w.tryBroker(ctx) })
	return w.loop.Run(ctx)
}

// HasSynced reports whether every request and database is known.
func (w *Watcher) HasSynced() bool { return w.loop.HasSynced() }

// concerned are the request itself and those that wait behind it.
func (w *Watcher) concerned(object any) []types.NamespacedName {
	request, ok := object.(*kubedb.SinglestoreOpsRequest)
	if !ok {
		return nil
	}
	keys := []types.NamespacedName{{Namespace: request.Namespace, Name: request.Name}}
	for _, other := range w.unfinishedOf(databaseKey(request)) {
		if other.UID != request.UID && plan.Pending(other) {
			keys = append(keys, types.NamespacedName{Namespace: other.Namespace, Name: other.Name})
		}
	}
	return keys
}

// waiting are the requests of a database that changed which wait for it, to start
// or to pause it, and the one that it is paused for; all of them when the database
// is being deleted or gone.
func (w *Watcher) waiting(object any) []types.NamespacedName {
	db, ok := object.(*kubedb.Singlestore)
	if !ok {
		return nil
	}
	var keys []types.NamespacedName
	if owner, ok := ownerOf(db); ok { // it may be gone
		keys = append(keys, types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name})
	}
	_, exists, err := w.databases.GetStore().GetByKey(db.Namespace + "/" + db.Name)
	goes := db.DeletionTimestamp != nil || err == nil && !exists
	for _, request := range w.unfinishedOf(db.Namespace + "/" + db.Name) {
		if goes || plan.Pending(request) || !hasPaused(request) {
			keys = append(keys, types.NamespacedName{Namespace: request.Namespace, Name: request.Name})
		}
	}
	return keys
}

// unfinishedOf lists the requests of a database, named as namespace/name, that
// have not ended, in no order. They are shared: not to be changed.
func (w *Watcher) unfinishedOf(database string) []*kubedb.SinglestoreOpsRequest {
	objects, err := w.requests.GetIndexer().ByIndex(byDatabase, database)
	if err != nil {
		return nil // the index is there since New
	}
	requests := make([]*kubedb.SinglestoreOpsRequest, len(objects))
	for i, object := range objects {
		requests[i] = object.(*kubedb.SinglestoreOpsRequest)
	}
	return requests
}

// unfinished indexes the requests that have not ended.
func unfinished(object any) ([]string, error) {
	request, ok := object.(*kubedb.SinglestoreOpsRequest)
	if !ok || request.Status.Phase.Terminal() {
		return nil, nil
	}
	return []string{databaseKey(request)}, nil
}

// databaseKey is the database of a request, as namespace/name.
func databaseKey(request *kubedb.SinglestoreOpsRequest) string {
	return request.Namespace + "/" + request.Spec.DatabaseRef.Name
}
