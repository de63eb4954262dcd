// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package bustest runs a broker inside a test: a single server or a cluster of
// three, with the streams and consumers of the contract.
package bustest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// patience is how long a test waits for what should take milliseconds; the
// machine may be busy.
const patience = 2 * time.Minute

// servers has the broker of each running test.
var (
	serversMu sync.Mutex
	servers   = map[testing.TB]*server.Server{}
)

// Server returns the test's own broker, which ends with the test. It listens to
// nobody and has neither streams nor consumers until they are provisioned.
func Server(t testing.TB) *server.Server {
	t.Helper()
	serversMu.Lock()
	defer serversMu.Unlock()
	if srv, ok := servers[t]; ok {
		return srv
	}
	srv := Start(t, &server.Options{DontListen: true})
	servers[t] = srv
	t.Cleanup(func() {
		serversMu.Lock()
		defer serversMu.Unlock()
		delete(servers, t)
	})
	return srv
}

// Connect returns a connection to the test's own broker ([Server]), with every
// stream and consumer provisioned. It is closed with the test.
func Connect(t testing.TB, name string) *bus.Bus {
	t.Helper()
	b := ConnectTo(t, Server(t), name)
	require.NoError(t, bus.Provision(Context(t), b.JetStream(), 1))
	return b
}

// ConnectTo returns a connection to the given broker, where nothing is
// provisioned. It is closed with the test.
func ConnectTo(t testing.TB, srv *server.Server, name string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(Context(t), bus.Config{Name: name, InProcess: srv})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = b.Close(ctx) // the broker may be gone already
	})
	return b
}

// Context returns a context that ends when the test has waited for too long.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// R3 is a cluster of three servers.
type R3 struct {
	Servers [3]*server.Server
}

// Cluster returns a cluster that has elected its leader and has every stream and
// consumer provisioned with three replicas. It ends with the test.
func Cluster(t testing.TB) *R3 {
	t.Helper()
	cluster := &R3{}
	var routes []*url.URL
	for range cluster.Servers {
		routes = append(routes, &url.URL{Scheme: "nats", Host: freeAddress(t)})
	}
	for i := range cluster.Servers {
		port, err := strconv.Atoi(routes[i].Port())
		require.NoError(t, err)
		cluster.Servers[i] = Start(t, &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: routes[i].Hostname(), Port: port},
		})
	}
	require.Eventually(t, cluster.ready, patience, 20*time.Millisecond, "the cluster has no leader that knows all servers")
	b := ConnectTo(t, cluster.Servers[0], "provision")
	require.NoError(t, bus.Provision(Context(t), b.JetStream(), len(cluster.Servers)))
	return cluster
}

// ready reports whether a leader knows all servers.
func (c *R3) ready() bool {
	for _, srv := range c.Servers {
		if srv.JetStreamIsLeader() {
			return len(srv.JetStreamClusterPeers()) == len(c.Servers)
		}
	}
	return false
}

// Connect returns a connection to one of the servers, counted from 0. It is
// closed with the test.
func (c *R3) Connect(t testing.TB, i int, name string) *bus.Bus {
	t.Helper()
	return ConnectTo(t, c.Servers[i%len(c.Servers)], name)
}

// AckWait shortens how soon the work of a dead worker of the consumer is given
// to another.
func AckWait(t testing.TB, b *bus.Bus, consumer events.Consumer, wait time.Duration) {
	t.Helper()
	config := consumer.Config()
	config.AckWait = wait
	_, err := b.JetStream().CreateOrUpdateConsumer(Context(t), consumer.Stream, config)
	require.NoError(t, err)
}

// freeAddress is one that nobody listens to just now.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// Start runs a broker with the given options, as an embedded one with JetStream. It
// ends with the test.
func Start(t testing.TB, options *server.Options) *server.Server {
	t.Helper()
	return StartIn(t, options, t.TempDir())
}

// StartIn is [Start] with the server's data in the given directory.
func StartIn(t testing.TB, options *server.Options, directory string) *server.Server {
	t.Helper()
	options.JetStream, options.StoreDir = true, directory
	options.NoSigs, options.NoLog = true, true
	srv, err := server.NewServer(options)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(patience), "the broker does not start")
	return srv
}
