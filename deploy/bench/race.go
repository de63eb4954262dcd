// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// race takes the times of a number of things that begin and end.
type race struct {
	mu    sync.Mutex
	total int
	began map[string]time.Time
	took  map[string]time.Duration
	first time.Time
	last  time.Time
	err   error
	over  chan struct{}
}

func newRace(total int) *race {
	return &race{total: total, began: map[string]time.Time{}, took: map[string]time.Duration{}, over: make(chan struct{})}
}

func (r *race) begin(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.first.IsZero() {
		r.first = now
	}
	r.began[name] = now
}

// end counts once for what has begun, and not at all for what has not.
func (r *race) end(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	began, ok := r.began[name]
	if _, ended := r.took[name]; !ok || ended || r.err != nil {
		return
	}
	r.last = time.Now()
	r.took[name] = r.last.Sub(began)
	if len(r.took) == r.total {
		close(r.over)
	}
}

// fail ends the race.
func (r *race) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && len(r.took) < r.total {
		r.err = err
		close(r.over)
	}
}

// raceTimeout bounds one race.
const raceTimeout = 15 * time.Minute

// wait returns when all have ended. What takes longer than two seconds is told
// about.
func (r *race) wait(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, raceTimeout)
	defer cancel()
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-r.over:
			return r.err
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w", what, r.progress(), context.Cause(ctx))
		case <-ticker.C:
			fmt.Fprintf(os.Stderr, "  %s: %s\n", what, r.progress())
		}
	}
}

func (r *race) progress() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%d of %d after %.0f s", len(r.took), r.total, time.Since(r.first).Seconds())
}

// makespan is from the first begin to the last end.
func (r *race) makespan() time.Duration { return r.last.Sub(r.first) }

// latencies are how long each took, shortest first.
func (r *race) latencies() []time.Duration {
	list := make([]time.Duration, 0, len(r.took))
	for _, took := range r.took {
		list = append(list, took)
	}
	slices.Sort(list)
	return list
}

// percentile of a sorted list, p in percent; the nearest that was measured.
func percentile[T any](sorted []T, p int) T {
	var none T
	if len(sorted) == 0 {
		return none
	}
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
