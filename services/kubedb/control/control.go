// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package control is the loop of a level-triggered controller: informers say which object may need attention, a
// rate-limited queue hands each to one worker at a time, and a sync function makes it right. It never polls: after a
// sync without an error an object rests until one of its informers speaks again.
package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/opsrelay/opsrelay/services/safely"
)

// Sync makes one object right. An error means that it is tried again, later and later.
type Sync func(ctx context.Context, key types.NamespacedName) error

// Keys says which objects a change of obj concerns.
type Keys func(obj any) []types.NamespacedName

// Loop runs a Sync. Make it with New, connect informers with Watch, then Run it once.
type Loop struct {
	name    string
	workers int
	sync    Sync
	queue   workqueue.TypedRateLimitingInterface[types.NamespacedName]

	informers []cache.SharedIndexInformer
	handlers  []cache.ResourceEventHandlerRegistration
}

// New returns a loop without informers. name is used in logs; fewer than one worker means one.
func New(name string, workers int, sync Sync) *Loop {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](5*time.Millisecond, time.Minute)
	return &Loop{
		name:    name,
		workers: max(workers, 1),
		sync:    sync,
		queue:   workqueue.NewTypedRateLimitingQueue(limiter),
	}
}

// Watch runs informer with the loop and queues what keys says at each of its events; with nil keys it is only kept for
// its cache. A change queues both what the old and what the new object concern.
func (l *Loop) Watch(informer cache.SharedIndexInformer, keys Keys) error {
	l.informers = append(l.informers, informer)
	if keys == nil {
		return nil
	}
	add := func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		for _, key := range keys(obj) {
			l.queue.Add(key)
		}
	}
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    add,
		UpdateFunc: func(old, now any) { add(old); add(now) },
		DeleteFunc: add,
	})
	if err != nil {
		return fmt.Errorf("watch for %s: %w", l.name, err)
	}
	l.handlers = append(l.handlers, handler)
	return nil
}

// AddAfter queues an object once d has passed.
func (l *Loop) AddAfter(key types.NamespacedName, d time.Duration) { l.queue.AddAfter(key, d) }

// HasSynced reports whether every informer has listed what there is and has told the loop about it.
func (l *Loop) HasSynced() bool {
	for _, informer := range l.informers {
		if !informer.HasSynced() {
			return false
		}
	}
	for _, handler := range l.handlers {
		if !handler.HasSynced() {
			return false
		}
	}
	return true
}

// Run works until ctx is done, lets the syncs under way end, and returns nil. A loop runs once.
func (l *Loop) Run(ctx context.Context) error {
	logger := zerolog.Ctx(ctx).With().Str("controller", l.name).Logger()
	ctx = logger.WithContext(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer l.queue.ShutDown()
	for _, informer := range l.informers {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), l.HasSynced) {
		return nil // ctx is done
	}
	logger.Info().Int("workers", l.workers).Msg("controller started")
	for range l.workers {
		running.Go(func() {
			for l.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	logger.Info().Msg("controller stopped")
	return nil
}

// next syncs one object; it returns false when the queue is closed.
func (l *Loop) next(ctx context.Context) bool {
	key, closed := l.queue.Get()
	if closed {
		return false
	}
	defer l.queue.Done(key)
	if ctx.Err() != nil {
		return true // empty the queue without touching anything
	}
	err := safely.Do(func() error { return l.sync(ctx, key) }) // one object must not end the work on all the others
	switch {
	case err == nil:
		l.queue.Forget(key)
	case apierrors.IsConflict(err), errors.Is(err, context.Canceled):
		l.queue.AddRateLimited(key) // the cache was behind: not worth a warning
	default:
		if panicked := new(safely.Panic); errors.As(err, &panicked) {
			zerolog.Ctx(ctx).Error().Bytes("stack", panicked.Stack).Interface("panic", panicked.Value).Stringer("object", key).Msg("sync panicked")
		}
		zerolog.Ctx(ctx).Warn().Err(err).Stringer("object", key).Int("failures", l.queue.NumRequeues(key)+1).Msg("sync failed, will retry")
		l.queue.AddRateLimited(key)
	}
	return true
}
