// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
)

// A notifier tells a webhook of each request that failed or was rejected. While
// the webhook does not answer, the event comes again.
func ExampleSubscribe_webhook() {
	js, stop := exampleBroker(events.Failed)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Println(r.Header.Get("Idempotency-Key"), string(text))
	}))
	defer webhook.Close()

	subscription := events.Subscription{Durable: "notifier", Filter: events.Filter{Facts: []events.Fact{events.Failed, events.Rejected}}}
	err := events.Subscribe(ctx, js, subscription, func(ctx context.Context, e events.Event) error {
		text := fmt.Sprintf("%s of %s %s", e.Operation.Failure.Reason, e.Operation.Database.Kind, e.Operation.Database.Name)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, webhook.URL, bytes.NewBufferString(text))
		if err != nil {
			return err
		}
		request.Header.Set("Idempotency-Key", e.ID()) // the same when it comes again
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode >= http.StatusBadRequest {
			return fmt.Errorf("the webhook says %s", response.Status)
		}
		cancel() // one is enough for an example
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// 7f3c9d0e-1b7a-4c52-9a3b-0d6a2f7c1e55.failed ControllerResizeInfeasible of Singlestore sdb
}

// An audit log keeps every fact, one line of JSON each. A line may come twice,
// with the same id.
func ExampleSubscribe_auditLog() {
	js, stop := exampleBroker(events.Resumed)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	file, err := os.CreateTemp("", "audit-*.jsonl")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(file.Name())
	defer file.Close()

	lines := json.NewEncoder(file)
	err = events.Subscribe(ctx, js, events.Subscription{Durable: "audit"}, func(_ context.Context, e events.Event) error {
		line := map[string]string{"id": e.ID(), "by": e.Source, "fact": string(e.Fact), "database": e.Operation.Database.Name}
		if err := lines.Encode(line); err != nil {
			return err
		}
		if e.Fact.Ends() {
			cancel() // one request is enough for an example
		}
		return file.Sync()
	})
	if err != nil {
		fmt.Println(err)
	}
	text, _ := os.ReadFile(file.Name())
	fmt.Println(bytes.Count(text, []byte("\n")), "lines")
	// Output:
	// 5 lines
}

// A waiter tells when the request with a uid is done, also when that was before
// it asked.
func ExampleSubscribe_waiter() {
	js, stop := exampleBroker(events.Resumed)
	defer stop()
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()

	uid := "7f3c9d0e-1b7a-4c52-9a3b-0d6a2f7c1e55"
	err := events.Subscribe(ctx, js, events.Subscription{Filter: events.Filter{UID: uid}}, func(_ context.Context, e events.Event) error {
		if e.Fact.Ends() {
			fmt.Println(e.Operation.Database.Name, e.Operation.Outcome)
			done()
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// sdb Successful
}

// exampleBroker is a broker that holds one chain, whose last fact is given. In
// your program: nats.Connect and jetstream.New.
func exampleBroker(last events.Fact) (jetstream.JetStream, func()) {
	directory, err := os.MkdirTemp("", "example-")
	must(err)
	broker, err := server.NewServer(&server.Options{JetStream: true, StoreDir: directory, DontListen: true, NoSigs: true})
	must(err)
	broker.Start()
	if !broker.ReadyForConnections(time.Minute) {
		log.Panic("the broker does not start")
	}
	conn, err := nats.Connect("", nats.InProcessServer(broker))
	must(err)
	js, err := jetstream.New(conn)
	must(err)
	ctx := context.Background()
	_, err = js.CreateStream(ctx, events.Streams(1)[0])
	must(err)
	for _, fact := range way(last) {
		msg, err := events.Encode(sample(fact))
		must(err)
		_, err = js.PublishMsg(ctx, msg)
		must(err)
	}
	return js, func() {
		conn.Close()
		broker.Shutdown()
		broker.WaitForShutdown()
		must(os.RemoveAll(directory))
	}
}

func must(err error) {
	if err != nil {
		log.Panic(err)
	}
}
