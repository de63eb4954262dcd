// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
)

// track holds every baton, and tells those who look at it which have changed. It
// is safe for concurrent use.
type track struct {
	mu       sync.Mutex
	batons   map[string]*Baton // by the request's uid
	watchers map[*watcher]struct{}
}

// watcher is somebody who looks at the track: which batons it has not seen in
// their newest state. However slow it is, it never holds more than one entry for
// each.
type watcher struct {
	dirty map[string]struct{}
	wake  chan struct{}
}

func newTrack() *track {
	return &track{batons: map[string]*Baton{}, watchers: map[*watcher]struct{}{}}
}

// change applies a change to the baton with the uid, which is made if need be.
func (t *track) change(uid string, apply func(*Baton)) {
	if uid == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	baton, ok := t.batons[uid]
	if !ok {
		baton = &Baton{UID: uid}
		t.batons[uid] = baton
	}
	apply(baton)
	t.forget()
	for w := range t.watchers {
		w.dirty[uid] = struct{}{}
		w.notify()
	}
}

// known applies a change to a baton that is there already.
func (t *track) known(uid string, apply func(*Baton)) {
	t.mu.Lock()
	_, ok := t.batons[uid]
	t.mu.Unlock()
	if ok {
		t.change(uid, apply)
	}
}

// keep is how many batons are held. The oldest that have ended go first.
const keep = 5000

func (t *track) forget() {
	if len(t.batons) <= keep {
		return
	}
	var oldest *Baton
	for _, baton := range t.batons {
		if baton.Outcome != "" && (oldest == nil || baton.Created.Before(oldest.Created)) {
			oldest = baton
		}
	}
	if oldest != nil {
		delete(t.batons, oldest.UID)
	}
}

// watch returns a watcher that has seen nothing yet; it must be left.
func (t *track) watch() *watcher {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &watcher{dirty: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	for uid := range t.batons {
		w.dirty[uid] = struct{}{}
	}
	w.notify()
	t.watchers[w] = struct{}{}
	return w
}

func (t *track) leave(w *watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.watchers, w)
}

func (w *watcher) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// unseen returns what the watcher has not seen, newest requests first, as JSON;
// nil if there is nothing.
func (t *track) unseen(w *watcher) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(w.dirty) == 0 {
		return nil, nil
	}
	batons := make([]*Baton, 0, len(w.dirty))
	for uid := range w.dirty {
		if baton, ok := t.batons[uid]; ok {
			batons = append(batons, baton)
		}
	}
	w.dirty = map[string]struct{}{}
	slices.SortFunc(batons, func(a, b *Baton) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.UID, b.UID)) })
	return json.Marshal(batons)
}
