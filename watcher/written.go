// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// watchLag is how long a watch may be behind our own writes, and mostWritten of how
// many objects at once. Beyond that a write is refused as a conflict, and what is
// there is read.
const (
	watchLag    = 30 * time.Second
	mostWritten = 4096
)

// newWritten returns a view of what the informer has seen in which our own writes
// are seen at once. It holds a write only until the informer has caught up with it.
func newWritten(informer cache.SharedIndexInformer) (cache.MutationCache, error) {
	written := cache.NewIntegerResourceVersionMutationCacheWithOptions(klog.Background(), informer.GetStore(),
		cache.MutationCacheOptions{TTL: watchLag, MaxCacheSize: mostWritten})
	seen := func(object any) {
		if object, ok := object.(runtime.Object); ok {
			written.OnAddOrUpdate(object)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    seen,
		UpdateFunc: func(_, now any) { seen(now) },
		DeleteFunc: func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			if object, ok := object.(runtime.Object); ok {
				written.OnDelete(object)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch requests: %w", err)
	}
	return written, nil
}
