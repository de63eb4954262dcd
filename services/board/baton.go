// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package board shows every request as a baton on the relay's track, live, as a
// web page. It only reads: the stream of facts, the progress of volumes, and the
// requests' own status.
package board

import (
	"time"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Baton is all that the page knows of one request.
type Baton struct {
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Kind      string `json:"kind,omitempty"`
	Database  string `json:"database"`
	Mode      string `json:"mode,omitempty"`
	// Created is when the request was created or first heard of.
	Created time.Time `json:"created"`
	// Fact is the newest fact; empty for a request that has not begun.
	Fact string `json:"fact"`
	// Phase is the request's in Kubernetes, where it was seen; Deleted says that it
	// is not there any more.
	Phase   string `json:"phase,omitempty"`
	Seen    bool   `json:"seen,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
	// Outcome is set at the end, Failure from where it failed; Waiting is what it
	// waits for.
	Outcome string          `json:"outcome,omitempty"`
	Failure *events.Failure `json:"failure,omitempty"`
	Waiting string          `json:"waiting,omitempty"`
	// Facts is the timeline; Components is what grows.
	Facts      []Fact      `json:"facts,omitempty"`
	Components []Component `json:"components,omitempty"`
}

// Fact is one fact of the timeline.
type Fact struct {
	Fact     string    `json:"fact"`
	Time     time.Time `json:"time"`
	By       string    `json:"by"`
	Attempts int       `json:"attempts,omitempty"`
}

// Component is a part of the database, with its volumes in order of their names.
type Component struct {
	Name    string   `json:"name"`
	From    string   `json:"from"`
	To      string   `json:"to"`
	Volumes []Volume `json:"volumes,omitempty"`
}

// Volume is one volume and how far it is.
type Volume struct {
	Claim    string `json:"claim"`
	Capacity string `json:"capacity,omitempty"`
	State    string `json:"state,omitempty"`
	Message  string `json:"message,omitempty"`
}

// hear takes a fact into the baton. A fact that it knows already changes nothing.
func (b *Baton) hear(e events.Event) {
	op := e.Operation
	for _, known := range b.Facts {
		if known.Fact == string(e.Fact) {
			return
		}
	}
	b.UID, b.Namespace, b.Name, b.Kind, b.Database = op.Request.UID, op.Request.Namespace, op.Request.Name, e.Kind, op.Database.Name
	b.Mode, b.Fact, b.Outcome, b.Failure = string(op.Mode), string(e.Fact), string(op.Outcome), op.Failure
	if b.Created.IsZero() {
		b.Created = e.Time
	}
	if b.Waiting = ""; e.Fact.Ends() {
		b.Phase = string(op.Outcome)
	}
	b.Facts = append(b.Facts, Fact{Fact: string(e.Fact), Time: e.Time, By: e.Source, Attempts: e.Attempts()})
	for _, c := range op.Components {
		component := b.component(c.Name)
		component.From, component.To = c.From, c.To
		for _, v := range c.Volumes {
			volume := component.volume(v.Claim)
			volume.Capacity = v.Capacity
			if e.Fact == events.Expanded && len(c.Shared) == 0 {
				volume.State = events.StateGrown
			}
		}
	}
}

// grow takes the progress of a volume into the baton.
func (b *Baton) grow(p events.Progress) {
	volume := b.component(p.Component).volume(p.Claim)
	volume.Capacity, volume.State, volume.Message = p.Capacity, p.State, p.Message
}

// see takes the request itself into the baton.
func (b *Baton) see(r *kubedb.SinglestoreOpsRequest) {
	b.UID, b.Namespace, b.Name, b.Database = string(r.UID), r.Namespace, r.Name, r.Spec.DatabaseRef.Name
	b.Seen = true
	b.Created, b.Phase, b.Waiting = r.CreationTimestamp.Time, string(r.Status.Phase), ""
	if waiting := kubedb.FindCondition(r.Status.Conditions, kubedb.ConditionWaiting); waiting != nil {
		b.Waiting = waiting.Reason + ": " + waiting.Message
	}
	if expansion := r.Spec.VolumeExpansion; expansion != nil {
		b.Mode = string(expansion.Mode)
	}
}

func (b *Baton) component(name string) *Component {
	for i := range b.Components {
		if b.Components[i].Name == name {
			return &b.Components[i]
		}
	}
	b.Components = append(b.Components, Component{Name: name})
	return &b.Components[len(b.Components)-1]
}

func (c *Component) volume(claim string) *Volume {
	for i := range c.Volumes {
		if c.Volumes[i].Claim == claim {
			return &c.Volumes[i]
		}
	}
	c.Volumes = append(c.Volumes, Volume{Claim: claim})
	return &c.Volumes[len(c.Volumes)-1]
}
