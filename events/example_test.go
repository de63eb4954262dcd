// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// Example_subscribe tells how every request ended, those that ended while it did
// not run included: the broker remembers how far its durable consumer has come.
func Example_subscribe() { //nolint:testableexamples // runs until it is told to stop
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	conn, err := nats.Connect("nats://nats:4222")
	if err != nil {
		log.Print(err)
		return
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		log.Print(err)
		return
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, events.Stream, jetstream.ConsumerConfig{
		Durable:        "reports",
		FilterSubjects: []string{events.FactFilter(events.Resumed), events.FactFilter(events.Rejected)},
		AckPolicy:      jetstream.AckExplicitPolicy,
	})
	if err != nil {
		log.Print(err)
		return
	}
	consuming, err := consumer.Consume(report)
	if err != nil {
		log.Print(err)
		return
	}
	<-ctx.Done()
	consuming.Drain()
	<-consuming.Closed()
}

// report prints one message of [Example_subscribe]. What is delivered twice has
// the same id twice.
func report(msg jetstream.Msg) {
	event, err := events.Decode(msg.Subject(), msg.Headers(), msg.Data())
	if err != nil {
		log.Print(err) // no repetition makes it an event, so it is acknowledged, too
	} else {
		fmt.Println(event.ID(), event.Operation.Database.Name, event.Operation.Outcome)
	}
	if err := msg.Ack(); err != nil {
		log.Print(err) // it comes again
	}
}
