// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// scene is what `watch` shows: the requests of this moment, and how far their
// volumes are. It is safe for concurrent use.
type scene struct {
	mu       sync.Mutex
	requests map[string]Request                    // by namespace/name
	volumes  map[string]map[string]events.Progress // by uid, by claim
	changed  chan struct{}
}

func newScene() *scene {
	return &scene{requests: map[string]Request{}, volumes: map[string]map[string]events.Progress{}, changed: make(chan struct{}, 1)}
}

func (s *scene) change(apply func()) {
	s.mu.Lock()
	apply()
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default: // it is going to be looked at already
	}
}

func (s *scene) put(r *kubedb.SinglestoreOpsRequest) {
	s.change(func() { s.requests[r.Namespace+"/"+r.Name] = view(r) })
}

func (s *scene) remove(namespace, name string) {
	s.change(func() {
		delete(s.volumes, s.requests[namespace+"/"+name].UID)
		delete(s.requests, namespace+"/"+name)
	})
}

func (s *scene) progress(p events.Progress) {
	s.change(func() {
		if s.volumes[p.Request.UID] == nil {
			s.volumes[p.Request.UID] = map[string]events.Progress{}
		}
		s.volumes[p.Request.UID][p.Claim] = p
	})
}

// lines is a line for each request, oldest first.
func (s *scene) lines() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := map[string]string{}
	for key, r := range s.requests {
		why := cmp.Or(r.Failure, r.Waiting)
		parts := []string{fmt.Sprintf("%-40s %-12s %-7s", key, cmp.Or(r.Phase, "-"), r.Step)}
		if r.Step == "expand" || r.Step == "update" {
			parts = append(parts, bars(s.volumes[r.UID])...)
		}
		if why != "" {
			parts = append(parts, orDash(why))
		}
		lines[key] = strings.TrimRight(strings.Join(parts, " "), " ")
	}
	return lines
}

// order is the keys of the requests, oldest first.
func (s *scene) order() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.requests), func(a, b string) int {
		return cmp.Or(s.requests[a].Created.Compare(s.requests[b].Created), cmp.Compare(a, b))
	})
}

// barWidth is how wide a bar is, in characters.
const barWidth = 10

// bars is a bar for each component: how many of its volumes have grown.
func bars(volumes map[string]events.Progress) []string {
	grown, all := map[string]int{}, map[string]int{}
	for _, p := range volumes {
		all[p.Component]++
		if p.State == events.StateGrown {
			grown[p.Component]++
		}
	}
	var texts []string
	for _, component := range slices.Sorted(maps.Keys(all)) {
		full := barWidth * grown[component] / all[component]
		texts = append(texts, fmt.Sprintf("%s [%s%s] %d/%d", component,
			strings.Repeat("#", full), strings.Repeat(".", barWidth-full), grown[component], all[component]))
	}
	return texts
}
