// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"sync"

	"k8s.io/client-go/tools/cache"
)

// subscribers are those who want to know when objects of a view change.
type subscribers struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{} // namespace/name -> who wants to know
}

// subscribe returns a channel that gets a value after any of the objects changed.
// Changes that nobody has looked at yet count as one. stop must be called.
func (s *subscribers) subscribe(namespace string, names ...string) (changed chan struct{}, stop func()) {
	channel := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[string]map[chan struct{}]struct{}{}
	}
	for _, name := range names {
		key := namespace + "/" + name
		if s.waiting[key] == nil {
			s.waiting[key] = map[chan struct{}]struct{}{}
		}
		s.waiting[key][channel] = struct{}{}
	}
	return channel, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range names {
			key := namespace + "/" + name
			if delete(s.waiting[key], channel); len(s.waiting[key]) == 0 {
				delete(s.waiting, key)
			}
		}
	}
}

// notify tells those who wait for the object.
func (s *subscribers) notify(object any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		return // not an object: the informer hands out nothing else
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel := range s.waiting[key] {
		select {
		case channel <- struct{}{}:
		default: // a change is waiting to be looked at already
		}
	}
}
