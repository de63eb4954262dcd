// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// view watches what the bench waits for. The same watches run whoever is
// measured.
type view struct {
	claims, requests, databases cache.SharedIndexInformer
	pods                        cache.SharedIndexInformer // nil if nobody waits for pods

	mu      sync.Mutex
	changed time.Time
}

func newView(clients runtime.Clients, pods bool) *view {
	v := &view{
		claims:    kubedb.NewInformer(clients.Core.CoreV1().PersistentVolumeClaims(namespace), &corev1.PersistentVolumeClaim{}),
		requests:  clients.KubeDB.SinglestoreOpsRequestInformer(namespace),
		databases: clients.KubeDB.SinglestoreInformer(namespace),
	}
	if pods {
		v.pods = kubedb.NewInformer(clients.Core.CoreV1().Pods(namespace), &corev1.Pod{})
	}
	for _, informer := range v.all() {
		v.on(informer, func(any) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.changed = time.Now()
		})
	}
	return v
}

func (v *view) all() []cache.SharedIndexInformer {
	all := []cache.SharedIndexInformer{v.claims, v.requests, v.databases}
	if v.pods != nil {
		all = append(all, v.pods)
	}
	return all
}

// start runs the watches until the context ends.
func (v *view) start(ctx context.Context) error {
	for _, informer := range v.all() {
		go informer.RunWithContext(ctx)
	}
	for _, informer := range v.all() {
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (v *view) on(informer cache.SharedIndexInformer, told func(object any)) (stop func()) {
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: told, UpdateFunc: func(_, object any) { told(object) },
		DeleteFunc: func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			told(object)
		},
	})
	if err != nil {
		panic(fmt.Sprintf("the watch has ended: %v", err)) // it runs as long as the bench
	}
	return func() { _ = informer.RemoveEventHandler(handler) } // of the same informer
}

func (v *view) onClaim(told func(*corev1.PersistentVolumeClaim)) (stop func()) {
	return v.on(v.claims, func(object any) {
		if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
			told(claim)
		}
	})
}

func (v *view) onPod(told func(*corev1.Pod)) (stop func()) {
	return v.on(v.pods, func(object any) {
		if pod, ok := object.(*corev1.Pod); ok {
			told(pod)
		}
	})
}

func (v *view) onDatabase(told func(*kubedb.Singlestore)) (stop func()) {
	return v.on(v.databases, func(object any) {
		if db, ok := object.(*kubedb.Singlestore); ok {
			told(db)
		}
	})
}

func (v *view) onRequest(told func(*kubedb.SinglestoreOpsRequest)) (stop func()) {
	return v.on(v.requests, func(object any) {
		if request, ok := object.(*kubedb.SinglestoreOpsRequest); ok {
			told(request)
		}
	})
}

// quiet waits until nothing has changed for a while: a measurement must not pay
// for the one before.
func (v *view) quiet(ctx context.Context) error {
	const calm = 700 * time.Millisecond
	for {
		v.mu.Lock()
		left := calm - time.Since(v.changed)
		v.mu.Unlock()
		if left <= 0 {
			return nil
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
