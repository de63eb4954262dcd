// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package contracttest tests programs of others against the contract of
// package events: a subscriber's handler with [Handler], what stands in a stream
// with [Stream].
package contracttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/opsrelay/opsrelay/events"
)

// Handler calls the handler as the relay may: with every way that a request can
// go, with a field that a newer version has added, and then with each event
// again, as after an acknowledgement that was lost. The handler must take them
// all, and what observed returns, the effect of the handler as something that
// fmt prints, must not be another one after the repetition.
func Handler(t testing.TB, handle events.Handler, observed func() any) {
	t.Helper()
	var all []events.Event
	for _, way := range ways() {
		all = append(all, travel(t, way)...)
	}
	say := func(times string) {
		for _, e := range all {
			if err := handle(context.Background(), e); err != nil {
				t.Errorf("%s: the handler does not take %q of request %s: %v", times, e.Fact, e.Operation.Request.Name, err)
			}
		}
	}
	say("first")
	before := fmt.Sprint(observed())
	say("again")
	if after := fmt.Sprint(observed()); after != before {
		t.Errorf("events that came twice have changed the effect\nonce:  %s\ntwice: %s", before, after)
	}
}

// Stream reads all that is kept of [events.Stream] and requires that it is by
// the contract: every message can be decoded, is valid by its schema, and
// follows its predecessor by the table of successors; no chain goes on after its
// end. The first facts of a chain may have expired.
func Stream(t testing.TB, ctx context.Context, js jetstream.JetStream) {
	t.Helper()
	schema := payloadSchema(t)
	last := map[events.ChainKey]events.Event{}
	stream, err := js.Stream(ctx, events.Stream)
	if err != nil {
		t.Fatalf("stream %s: %v", events.Stream, err)
	}
	// The stream holds probes of its writers as well, which are no facts.
	facts := jetstream.WithGetMsgSubject(events.AllFacts)
	for sequence := uint64(1); ; {
		raw, err := stream.GetMsg(ctx, sequence, facts)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return
		}
		if err != nil {
			t.Fatalf("read the first fact from message %d on: %v", sequence, err)
		}
		sequence = raw.Sequence + 1
		e, err := events.Decode(raw.Subject, raw.Header, raw.Data)
		if err != nil {
			t.Errorf("message %d on %s: %v", raw.Sequence, raw.Subject, err)
			continue
		}
		if err := schema.Validate(document(t, raw.Data)); err != nil {
			t.Errorf("message %d on %s: %v", raw.Sequence, raw.Subject, err)
		}
		before, seen := last[e.ChainKey()]
		begins := !seen && len(e.Operation.History) == 1
		if (seen || begins) && !before.Fact.Precedes(e.Fact) {
			t.Errorf("message %d on %s: %q cannot follow %q", raw.Sequence, raw.Subject, e.Fact, before.Fact)
		}
		last[e.ChainKey()] = e
	}
}

// ways lists every way from the beginning of a chain to its end.
func ways() [][]events.Fact {
	var all [][]events.Fact
	var walk func(way []events.Fact, last events.Fact)
	walk = func(way []events.Fact, last events.Fact) {
		if last.Ends() {
			all = append(all, append([]events.Fact(nil), way...))
			return
		}
		for _, next := range last.Successors() {
			walk(append(way, next), next)
		}
	}
	walk(nil, "")
	return all
}

// travel returns the events of a request that goes a way, as a subscriber gets
// them from a newer version.
func travel(t testing.TB, way []events.Fact) []events.Event {
	t.Helper()
	uid := fmt.Sprintf("way-of-%d-to-%s", len(way), way[max(0, len(way)-2)])
	e := events.First(way[0], "singlestore", events.Operation{
		Request:  events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: uid, UID: uid, Generation: 1},
		Database: events.Reference{Kind: "Singlestore", Namespace: "demo", Name: "sdb", UID: "database", Generation: 1},
		Mode:     events.Online,
		Components: []events.Component{{
			Name: "leaf", Workload: "sdb-leaf", From: "10Gi", To: "11Gi", Volumes: []events.Volume{{Claim: "data-sdb-leaf-0", Capacity: "10Gi"}},
		}},
	})
	all := []events.Event{wired(t, e, 1)}
	for i, fact := range way[1:] {
		if fact == events.Failed {
			e = e.Failed(events.Failure{Step: e.Fact.Step(), Object: "an object", Reason: "AReason", Message: "a message"})
		} else {
			e = e.Next(fact)
		}
		all = append(all, wired(t, e, uint64(i+2)))
	}
	return all
}

// wired is the event after its way through the broker, written by a version that
// knows one field more.
func wired(t testing.TB, e events.Event, sequence uint64) events.Event {
	t.Helper()
	message, err := events.Encode(e)
	if err != nil {
		t.Fatalf("encode %q: %v", e.Fact, err)
	}
	payload := document(t, message.Data).(map[string]any)
	payload["addedLater"] = map[string]any{"by": "a newer version"}
	data, err := json.Marshal(payload)
	if err != nil {
		t.Fatalf("encode %q: %v", e.Fact, err)
	}
	if e, err = events.Decode(message.Subject, message.Header, data); err != nil {
		t.Fatalf("decode: %v", err)
	}
	e.Sequence = sequence
	return e
}

func payloadSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := events.Schemas.ReadFile("schemas/operation.json")
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(events.SchemaURL, document(t, text)); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(events.SchemaURL)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// document is JSON as the validator wants it.
func document(t testing.TB, text []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("no JSON: %v", err)
	}
	return value
}
