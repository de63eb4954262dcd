// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// places bound how many volumes of one StorageClass grow at once, for a storage
// that cannot take more. Who comes first has the next free place.
type places struct {
	bound int // of each class; 0 means none

	mu      sync.Mutex
	classes map[string]*class
}

// class is one StorageClass.
type class struct {
	taken map[string]bool // by claim
	queue []ticket
}

// ticket is a claim that waits for a place, and who is told when it has one.
type ticket struct {
	claim string
	tell  chan<- struct{}
}

// take reports whether the claim has a place. If not, tell gets a value once it
// has, unless one is waiting there already.
func (p *places) take(name, claim string, tell chan<- struct{}) bool {
	if p.bound <= 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.class(name)
	if !c.taken[claim] && len(c.taken) < p.bound {
		c.taken[claim] = true
	}
	if !c.taken[claim] && !slices.ContainsFunc(c.queue, func(t ticket) bool { return t.claim == claim }) {
		c.queue = append(c.queue, ticket{claim, tell})
	}
	return c.taken[claim]
}

// keep gives a place to a claim that grows already, even if there is none: after
// a crash it is so.
func (p *places) keep(name, claim string) {
	if p.bound <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.class(name).taken[claim] = true
}

// leave gives the place of a claim to the next, if it has one.
func (p *places) leave(name, claim string) {
	if p.bound <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.class(name)
	delete(c.taken, claim)
	c.queue = slices.DeleteFunc(c.queue, func(t ticket) bool { return t.claim == claim })
	for len(c.queue) > 0 && len(c.taken) < p.bound {
		next := c.queue[0]
		c.queue = c.queue[1:]
		c.taken[next.claim] = true
		select {
		case next.tell <- struct{}{}:
		default: // it is about to look anyway
		}
	}
	if len(c.taken) == 0 {
		delete(p.classes, name)
	}
}

func (p *places) class(name string) *class {
	if p.classes == nil {
		p.classes = map[string]*class{}
	}
	if p.classes[name] == nil {
		p.classes[name] = &class{taken: map[string]bool{}}
	}
	return p.classes[name]
}

// hasTurn reports whether the claim may grow now. One that has been asked to grow
// already does, and Offline one volume of a workload grows at a time anyway.
func (g *growth) hasTurn(claim *corev1.PersistentVolumeClaim) bool {
	if g.again == nil {
		return true
	}
	name := classOf(claim)
	g.classes[claim.Name] = name
	if claim.Spec.Resources.Requests.Storage().Cmp(g.size) >= 0 {
		g.places.keep(name, g.namespace+"/"+claim.Name)
		return true
	}
	return g.places.take(name, g.namespace+"/"+claim.Name, g.again)
}

// leave ends a claim's turn, if it has one; leaveAll those of all.
func (g *growth) leave(claim string) {
	if name, ok := g.classes[claim]; ok {
		g.places.leave(name, g.namespace+"/"+claim)
		delete(g.classes, claim)
	}
}

func (g *growth) leaveAll() {
	for claim := range g.classes {
		g.leave(claim)
	}
}

func classOf(claim *corev1.PersistentVolumeClaim) string {
	if claim.Spec.StorageClassName == nil {
		return ""
	}
	return *claim.Spec.StorageClassName
}
