// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package invariant watches a namespace while Opsrelay works in it, and says
// which of its promises were broken. It is used by every end-to-end and fault
// test.
//
// The promises:
//
//	I1  no pod is deleted in Online mode, and each at most once by an Offline
//	    request
//	I2  a workload exists all the time, or a durable intent to make it, and its
//	    pod template is never touched
//	I3  no claim is deleted, and no request lowered but that of a claim whose
//	    storage cannot give the size, and never down to its capacity
//	I4  a request with a terminal phase does not hold its database paused
//	I5  at most one request works on a database at a time
//	I6  Successful means that every live volume has the requested capacity, and
//	    that claim templates and database object carry the size
//	I8  every failure names step, object and reason
//	I9  no service wrote what it must not
//
// (I7, that redelivered messages change nothing, is a test of its own: nobody
// can see it by watching.)
package invariant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Options say what to watch.
type Options struct {
	// Client and Core need to read everything in the namespace.
	Client *kubedb.Client
	Core   kubernetes.Interface
	// Namespace is the one that is watched.
	Namespace string
	// AuditLog is the API server's audit log with the bodies of writes; empty
	// leaves I9 out.
	AuditLog string
}

// Checker watches until it is checked.
type Checker struct {
	options Options
	stop    func()

	mu       sync.Mutex
	broken   []string
	paused   map[string]string                        // database -> uid of the request that holds it
	deleted  map[string]map[types.UID]string          // pod -> uids that were deleted -> their database
	offline  map[types.UID]string                     // Offline requests -> their database
	excused  map[string]bool                          // pods and claims that the test itself deletes, workloads that it makes
	dropped  map[string]bool                          // databases that the test itself deletes
	requests map[string]*kubedb.SinglestoreOpsRequest // terminal requests by uid
	absent   map[string]*kubedb.StatefulSet           // deleted StatefulSets that have no successor yet, by name
}

// Watch begins to watch, and returns once everything that exists is seen. Check
// ends it.
func Watch(ctx context.Context, options Options) (*Checker, error) {
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &Checker{
		options: options, paused: map[string]string{}, requests: map[string]*kubedb.SinglestoreOpsRequest{},
		deleted: map[string]map[types.UID]string{}, offline: map[types.UID]string{}, excused: map[string]bool{}, dropped: map[string]bool{}, absent: map[string]*kubedb.StatefulSet{},
	}
	handlers := []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandlerFuncs
	}{
		{kubedb.NewInformer(options.Core.CoreV1().Pods(options.Namespace), &corev1.Pod{}), c.pods()},
		{kubedb.NewInformer(options.Core.CoreV1().PersistentVolumeClaims(options.Namespace), &corev1.PersistentVolumeClaim{}), c.claims()},
		{options.Client.PetSetInformer(options.Namespace), c.workloads()},
		{options.Client.StatefulSetInformer(options.Namespace), c.statefulSets()},
		{options.Client.SinglestoreInformer(options.Namespace), c.databases()},
		{options.Client.SinglestoreOpsRequestInformer(options.Namespace), c.opsRequests()},
	}
	var running sync.WaitGroup
	c.stop = func() { cancel(); running.Wait() }
	var synced []cache.InformerSynced
	for _, h := range handlers {
		registration, err := h.informer.AddEventHandler(h.handler)
		if err != nil {
			c.stop()
			return nil, fmt.Errorf("watch %s: %w", options.Namespace, err)
		}
		synced = append(synced, registration.HasSynced)
		running.Go(func() { h.informer.RunWithContext(watching) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		c.stop()
		return nil, fmt.Errorf("watch %s: %w", options.Namespace, context.Cause(ctx))
	}
	return c, nil
}

// Check ends the watching and returns what was broken, a line each.
func (c *Checker) Check(ctx context.Context) ([]string, error) {
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	writes, err := c.writes()
	if err != nil {
		return nil, err
	}
	broken := append(slices.Clone(c.broken), c.checkRestarts(writes)...)
	for _, request := range c.requests {
		lines, err := c.checkEnd(ctx, request)
		if err != nil {
			return nil, err
		}
		broken = append(broken, lines...)
	}
	for _, write := range writes {
		broken = append(broken, write.violations()...)
	}
	return broken, nil
}

// writes are what the services wrote in the namespace, as far as it is logged.
func (c *Checker) writes() ([]Write, error) {
	if c.options.AuditLog == "" {
		return nil, nil
	}
	all, err := ReadAuditLog(c.options.AuditLog)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(w Write) bool { return w.Namespace != c.options.Namespace }), nil
}

func (c *Checker) violate(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, fmt.Sprintf(format, args...))
}

func (c *Checker) pods() cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			was, is := before.(*corev1.Pod), after.(*corev1.Pod)
			if was.DeletionTimestamp != nil || is.DeletionTimestamp == nil {
				return
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.deleted[is.Name] == nil {
				c.deleted[is.Name] = map[types.UID]string{}
			}
			c.deleted[is.Name][is.UID] = is.Labels[kubedb.LabelInstance]
		},
	}
}

// Excuse tells that the test itself deletes the pods, or the claim, of that name.
func (c *Checker) Excuse(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.excused[name] = true
}

// isExcused reports whether the test itself deletes what has the name.
func (c *Checker) isExcused(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.excused[name]
}

// ExcuseDatabase tells that the test itself is about to delete the database of
// that name, whose workloads and pods go with it.
func (c *Checker) ExcuseDatabase(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped[name] = true
}

// ExcuseNamespace tells that the test itself is about to delete the namespace: what
// goes with it is not watched any more. What was broken until now is still told.
func (c *Checker) ExcuseNamespace() { c.stop() }

// isDropped reports whether the test itself deletes the database.
func (c *Checker) isDropped(database string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped[database]
}

// ExcuseTemplate says that the test makes the workload itself, whose pod template
// the provisioner will make its own.
func (c *Checker) ExcuseTemplate(workload string) { c.Excuse(workload) }

// checkRestarts holds I1. What the services wrote to a pod says which of them it
// was.
func (c *Checker) checkRestarts(writes []Write) []string {
	requests := map[string]int{} // database -> Offline requests
	for _, database := range c.offline {
		requests[database]++
	}
	var broken []string
	for pod, uids := range c.deleted {
		allowed, dropped := 0, false
		for _, database := range uids {
			allowed, dropped = requests[database], c.dropped[database]
		}
		if len(uids) > allowed && !c.excused[pod] && !dropped {
			broken = append(broken, fmt.Sprintf("I1: pod %s was deleted %d times, by %d Offline requests", pod, len(uids), allowed))
			for _, write := range writes {
				if write.Name == pod && strings.HasPrefix(write.Resource, "pods") {
					broken = append(broken, fmt.Sprintf("  %s %s %s", write.Time.Format(time.RFC3339Nano), write, write.Body))
				}
			}
		}
	}
	return broken
}

func (c *Checker) claims() cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			was, is := before.(*corev1.PersistentVolumeClaim), after.(*corev1.PersistentVolumeClaim)
			if was.DeletionTimestamp == nil && is.DeletionTimestamp != nil && !c.isExcused(is.Name) {
				c.violate("I3: claim %s was deleted", is.Name)
			}
			request := is.Spec.Resources.Requests.Storage()
			lowered := request.Cmp(*was.Spec.Resources.Requests.Storage()) < 0
			infeasible := was.Status.AllocatedResourceStatuses[corev1.ResourceStorage] == corev1.PersistentVolumeClaimControllerResizeInfeasible
			if lowered && (!infeasible || request.Cmp(*was.Status.Capacity.Storage()) <= 0) && !c.isExcused(is.Name) {
				c.violate("I3: the request of claim %s was lowered from %s to %s", is.Name, was.Spec.Resources.Requests.Storage(), request)
			}
		},
		DeleteFunc: func(object any) {
			if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
				c.violate("I3: claim %s is gone", claim.Name)
			}
		},
	}
}

func (c *Checker) workloads() cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			was, is := before.(*kubedb.PetSet), after.(*kubedb.PetSet)
			c.mu.Lock()
			excused := c.excused[is.Name]
			c.mu.Unlock()
			if !excused && !equality.Semantic.DeepEqual(was.Spec.Template, is.Spec.Template) {
				c.violate("I2: the pod template of PetSet %s was changed", is.Name)
			}
		},
		DeleteFunc: func(object any) {
			if set, ok := object.(*kubedb.PetSet); ok && !c.isDropped(set.Labels[kubedb.LabelInstance]) {
				c.violate("I2: PetSet %s is gone", set.Name)
			}
		},
	}
}

// databases sees that the pause goes from nobody to one request and back, never
// from one request to another.
func (c *Checker) databases() cache.ResourceEventHandlerFuncs {
	look := func(object any) {
		db := object.(*kubedb.Singlestore)
		owner, paused := kubedb.PausedBy(db)
		c.mu.Lock()
		before, wasPaused := c.paused[db.Name]
		if delete(c.paused, db.Name); paused {
			c.paused[db.Name] = string(owner.UID)
		}
		c.mu.Unlock()
		if paused && wasPaused && before != string(owner.UID) {
			c.violate("I5: the pause of Singlestore %s went from request %q to %q without a resume", db.Name, before, owner.UID)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: look, UpdateFunc: func(_, object any) { look(object) }}
}

// opsRequests remembers the requests that end, for the check at the end, and
// asks at once whether their databases are resumed.
func (c *Checker) opsRequests() cache.ResourceEventHandlerFuncs {
	look := func(object any) {
		request := object.(*kubedb.SinglestoreOpsRequest)
		if expansion := request.Spec.VolumeExpansion; expansion != nil && expansion.Mode == kubedb.ModeOffline {
			c.mu.Lock()
			c.offline[request.UID] = request.Spec.DatabaseRef.Name
			c.mu.Unlock()
		}
		if !request.Status.Phase.Terminal() {
			return
		}
		c.mu.Lock()
		_, known := c.requests[string(request.UID)]
		c.requests[string(request.UID)] = request
		c.mu.Unlock()
		if known {
			return
		}
		db, err := c.options.Client.Singlestores(request.Namespace).Get(context.Background(), request.Spec.DatabaseRef.Name, metav1.GetOptions{})
		if err != nil {
			return // there is no database that could be paused
		}
		if owner, paused := kubedb.PausedBy(db); paused && owner.UID == request.UID {
			c.violate("I4: request %s is %s, but holds Singlestore %s paused", request.Name, request.Status.Phase, db.Name)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: look, UpdateFunc: func(_, object any) { look(object) }}
}
