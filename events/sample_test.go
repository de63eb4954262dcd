// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"slices"
	"time"

	"github.com/opsrelay/opsrelay/events"
)

// epoch is when the chains of the tests begin.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// senders are the services that usually publish a fact.
var senders = map[events.Fact]string{
	events.Requested: "watcher", events.Rejected: "watcher", events.Cancelled: "watcher",
	events.Paused: "pauser", events.Resumed: "pauser",
	events.Expanded: "expander", events.Failed: "expander",
	events.Updated: "updater",
}

// way lists the facts of the example chain up to one, which is the last.
func way(fact events.Fact) []events.Fact {
	switch fact {
	case events.Rejected:
		return []events.Fact{events.Rejected}
	case events.Failed, events.Cancelled:
		return []events.Fact{events.Requested, events.Paused, fact}
	default:
		whole := []events.Fact{events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed}
		return whole[:slices.Index(whole, fact)+1]
	}
}

// sample returns the event of the example chain with the given fact. It is the
// same whenever it is made.
func sample(fact events.Fact) events.Event {
	facts := way(fact)
	op := request()
	if fact == events.Rejected {
		op.Failure = &events.Failure{
			Step: "admit", Object: "SinglestoreOpsRequest demo/sdb.volume-exp", Reason: "StorageClassCannotExpand",
			Message: `StorageClass "standard" does not allow expansion – set allowVolumeExpansion`,
		}
	}
	e := dated(events.First(facts[0], "singlestore", op))
	e.Cluster = "3f0a1c5e-9d2b-4c67-8e11-52b6a0d7c9f4"
	for _, next := range facts[1:] {
		e = dated(follow(e, next))
	}
	return e
}

// follow is what the service that says the fact would publish behind e.
func follow(e events.Event, fact events.Fact) events.Event {
	if fact == events.Failed {
		return e.Failed(events.Failure{
			Step: "expand", Object: "PersistentVolumeClaim demo/data-sdb-leaf-1", Reason: "ControllerResizeInfeasible",
			Message: "the driver cannot grow the volume: the pool is full",
		})
	}
	next := e.Next(fact)
	if fact == events.Expanded {
		for _, component := range next.Operation.Components {
			for i := range component.Volumes {
				component.Volumes[i].Capacity = component.To
			}
		}
	}
	return next
}

// recovered is the expanded of the example chain where one volume could not grow.
func recovered() events.Event {
	paused := sample(events.Paused)
	paused.Operation.Infeasible = events.InfeasibleRecover
	e := dated(follow(paused, events.Expanded))
	leaf := &e.Operation.Components[1]
	leaf.Volumes[1].Capacity = "40Gi"
	leaf.Shared = []events.Shared{{Template: "data", Size: "40Gi"}}
	e.Operation.Failure = &events.Failure{
		Step: "expand", Object: "PersistentVolumeClaim demo/data-sdb-leaf-1", Reason: "ControllerResizeInfeasible",
		Message: "the driver cannot grow the volume: the pool is full",
	}
	return e
}

// dated gives the event the time and the sender that it has in the example.
func dated(e events.Event) events.Event {
	history := e.Operation.History
	e.Source = senders[e.Fact]
	e.Time = epoch.Add(time.Duration(len(history)-1) * 1500 * time.Millisecond)
	history[len(history)-1].Time = e.Time
	if !e.Fact.Ends() {
		e.Operation.Deadline = e.Time.Add(e.Operation.StepTimeout.Duration())
	}
	return e
}

func request() events.Operation {
	return events.Operation{
		Request:  events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: "sdb.volume-exp", UID: "7f3c9d0e-1b7a-4c52-9a3b-0d6a2f7c1e55", Generation: 1},
		Database: events.Reference{Kind: "Singlestore", Namespace: "demo", Name: "sdb", UID: "b1f0a7de-0c8e-4a7e-8f57-5f0a3c2d9e11", Generation: 3},
		Mode:     events.Online,
		Components: []events.Component{
			{Name: "aggregator", Workload: "sdb-aggregator", From: "10Gi", To: "12Gi", Volumes: []events.Volume{{Claim: "data-sdb-aggregator-0", Capacity: "10Gi"}}},
			{Name: "leaf", Workload: "sdb-leaf", From: "40Gi", To: "50Gi", Volumes: []events.Volume{{Claim: "data-sdb-leaf-0", Capacity: "40Gi"}, {Claim: "data-sdb-leaf-1", Capacity: "40Gi"}}},
		},
		StepTimeout: events.SecondsOf(30 * time.Minute),
		MaxRetries:  1,
	}
}

// sampleProgress is the progress of one volume of the example chain.
func sampleProgress() events.Progress {
	return events.Progress{
		Time: epoch.Add(2 * time.Second), Request: request().Request, Component: "leaf", Claim: "data-sdb-leaf-0",
		Capacity: "40Gi", To: "50Gi", State: "NodeResizePending", Message: "waits for the kubelet", Grown: 1, Volumes: 2,
	}
}
