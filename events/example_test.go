// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/opsrelay/opsrelay/events"
)

// A message is decoded by its subject, its headers and its payload, wherever
// they come from.
func ExampleDecode() {
	message := &nats.Msg{
		Subject: "opsrelay.v1.failed.singlestore.demo.7f3c9d0e",
		Header: nats.Header{
			"ce-specversion": {"1.0"},
			"ce-id":          {"7f3c9d0e.failed"},
			"ce-source":      {"/opsrelay/expander"},
			"ce-type":        {"dev.opsrelay.singlestore.failed.v1"},
			"ce-time":        {"2026-03-01T12:00:03Z"},
		},
		Data: []byte(`{
			"request":  {"kind": "SinglestoreOpsRequest", "namespace": "demo", "name": "grow", "uid": "7f3c9d0e"},
			"database": {"kind": "Singlestore", "namespace": "demo", "name": "sdb"},
			"failure":  {"step": "expand", "object": "PersistentVolumeClaim demo/data-sdb-leaf-1", "reason": "ControllerResizeInfeasible", "message": "the pool is full"}
		}`),
	}
	event, err := events.Decode(message.Subject, message.Header, message.Data)
	if err != nil {
		fmt.Println(err)
		return
	}
	operation := event.Operation
	fmt.Printf("%s: %s %s: %s, says the %s\n", event.Time.Format(time.TimeOnly), operation.Database.Kind, operation.Database.Name, event.Fact, event.Source)
	fmt.Println(operation.Failure)
	fmt.Println("next:", event.Fact.Successors())
	// Output:
	// 12:00:03: Singlestore sdb: failed, says the expander
	// expand PersistentVolumeClaim demo/data-sdb-leaf-1: ControllerResizeInfeasible: the pool is full
	// next: [resumed]
}

// A step returns the successor of the event that it was given, with what it has
// changed.
func ExampleEvent_Next() {
	requested := events.First(events.Requested, "singlestore", events.Operation{
		Request: events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: "grow", UID: "7f3c9d0e"},
	})
	paused := requested.Next(events.Paused)
	fmt.Println(paused.Subject())
	fmt.Println(paused.ID(), "behind", paused.Operation.History[0].Fact)
	// Output:
	// opsrelay.v1.paused.singlestore.demo.7f3c9d0e
	// 7f3c9d0e.paused behind requested
}
