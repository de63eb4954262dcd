// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Command subscriber is a third party's process: it prints the subject of each
// fact that it reads through its durable consumer. The files of its NATS user are
// in a directory.
//
//	subscriber URL NAME DIRECTORY
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: subscriber URL NAME DIRECTORY")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "subscriber:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, name, directory string) error {
	key, err := nats.NkeyOptionFromSeed(filepath.Join(directory, "nkey.seed"))
	if err != nil {
		return err
	}
	conn, err := nats.Connect(url, key, nats.Name(name), nats.CustomInboxPrefix("_INBOX_"+name),
		nats.RootCAs(filepath.Join(directory, "ca.crt")),
		nats.ClientCert(filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key")))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.NewWithAPIPrefix(conn, natsauth.SubscriberPrefix)
	if err != nil {
		return err
	}
	return events.Subscribe(ctx, js, events.Subscription{Durable: name}, func(_ context.Context, e events.Event) error {
		_, err := fmt.Println(e.Subject())
		return err
	})
}
