// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// Back-off of an object whose sync failed.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// workQueue calls sync for every name that is added, never twice at once for
// the same, and again after a back-off when it failed.
type workQueue struct {
	name    string
	workers int
	sync    func(context.Context, cache.ObjectName) error
	queue   workqueue.TypedRateLimitingInterface[cache.ObjectName]
}

func newWorkQueue(name string, workers int, sync func(context.Context, cache.ObjectName) error) *workQueue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](firstRetry, lastRetry)
	return &workQueue{name: name, workers: workers, sync: sync, queue: workqueue.NewTypedRateLimitingQueue(limiter)}
}

func (q *workQueue) add(name cache.ObjectName) { q.queue.Add(name) }

func (q *workQueue) addAfter(name cache.ObjectName, d time.Duration) { q.queue.AddAfter(name, d) }

// run works until ctx ends.
func (q *workQueue) run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range q.workers {
		workers.Go(func() {
			for q.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	q.queue.ShutDown()
	workers.Wait()
	return nil
}

func (q *workQueue) next(ctx context.Context) bool {
	name, shutdown := q.queue.Get()
	if shutdown {
		return false
	}
	defer q.queue.Done(name)
	err := q.sync(ctx, name)
	if err == nil {
		q.queue.Forget(name)
		return true
	}
	if ctx.Err() == nil {
		klog.ErrorS(err, "Sync failed, will retry", "controller", q.name, "object", name)
		q.queue.AddRateLimited(name)
	}
	return true
}

// onChange is an event handler that is told of every object that is new or changed.
func onChange[T any](changed func(T)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { changed(obj.(T)) },
		UpdateFunc: func(_, obj any) { changed(obj.(T)) },
	}
}
