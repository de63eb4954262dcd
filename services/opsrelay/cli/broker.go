// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// brokerTimeout bounds the start of the embedded broker, which reads back what
// it has stored.
const brokerTimeout = time.Minute

// startBroker starts a NATS server with JetStream in this process. It listens on
// the address, so that others can subscribe; empty means that it does not. The
// caller must shut it down.
func startBroker(directory, address string) (*server.Server, error) {
	options := &server.Options{
		ServerName: "opsrelay",
		JetStream:  true,
		StoreDir:   directory,
		// The process that we are part of handles signals, and a single server
		// must not lose what it acknowledged when the machine stops.
		NoSigs:     true,
		SyncAlways: true,
		DontListen: address == "",
	}
	if address != "" {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("--nats-address: %w", err)
		}
		if options.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("--nats-address: port %q is no number", port)
		}
		if options.Host = host; options.Port == 0 {
			options.Port = server.RANDOM_PORT
		}
	}
	broker, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("start the embedded NATS server: %w", err)
	}
	broker.Start()
	if !broker.ReadyForConnections(brokerTimeout) {
		broker.Shutdown()
		broker.WaitForShutdown()
		return nil, errors.New("start the embedded NATS server: not ready in a minute: is --nats-address free, and can --data-dir be written?")
	}
	return broker, nil
}
