// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"sync"
	"time"

	"github.com/opsrelay/opsrelay/events"
)

// How long a status may stay behind its chain: the first fact and the last are
// written at once, what lies between within a second, or later the more requests
// are under way, so that there are about twenty such writes a second with up to 600
// requests, and none is later than half a minute.
const (
	minRest    = time.Second
	restPerOne = 50 * time.Millisecond
	maxRest    = 30 * time.Second
)

// rest is how long a status may stay behind its chain now.
func (w *Watcher) rest() time.Duration {
	underWay := len(w.requests.GetIndexer().ListIndexFuncValues(byDatabase))
	return max(minRest, min(time.Duration(underWay)*restPerOne, maxRest))
}

// notes are the facts that wait to be written into the status of their
// requests. A fact carries the history of its chain, so that a later one says
// all that is said by an earlier one, which then need not be written: the later
// one is in the stream and will be handled, whoever dies.
type notes struct {
	mu   sync.Mutex
	open map[string]*note // by the uid of the request
}

// note is the newest fact of one request that is held here.
type note struct {
	sequence uint64
	outdated chan struct{} // closed when a newer one has come
}

// wait returns when the fact, which may rest for as long, is to be written, or
// returns false when a newer one says it all. A fact that begins or ends a chain
// is to be written at once.
func (n *notes) wait(ctx context.Context, e events.Event, rest time.Duration) (write bool, err error) {
	own, newest := n.lay(e)
	if !newest {
		return false, nil
	}
	defer n.takeAway(e, own)
	if e.Fact == events.Requested || e.Fact.Ends() {
		return true, nil
	}
	// Its publisher's clock may be ahead of ours.
	timer := time.NewTimer(min(rest, time.Until(e.Time.Add(rest))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case <-own.outdated:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// lay puts the fact down in the place of an older one of its request. newest is
// false when there is a newer one.
func (n *notes) lay(e events.Event) (own *note, newest bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	uid := e.Operation.Request.UID
	if held := n.open[uid]; held != nil {
		if held.sequence > e.Sequence {
			return nil, false
		}
		close(held.outdated)
	}
	if n.open == nil {
		n.open = map[string]*note{}
	}
	own = &note{sequence: e.Sequence, outdated: make(chan struct{})}
	n.open[uid] = own
	return own, true
}

// takeAway removes the fact, unless another is in its place.
func (n *notes) takeAway(e events.Event, own *note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if uid := e.Operation.Request.UID; n.open[uid] == own {
		delete(n.open, uid)
	}
}
