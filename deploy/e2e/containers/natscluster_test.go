// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// Three servers keep three copies of the stream. The one that leads it is killed
// while volumes grow: another one leads, and nothing is lost.
func TestNATSLeaderKilled(t *testing.T) {
	b := setup(t, 0)
	servers := b.startBrokers("nats-0", "nats-1", "nats-2")
	require.NoError(t, b.provision(b.ctx, len(servers)))
	for _, service := range stack.Relay {
		require.NoError(t, b.scale(b.ctx, service, 1))
	}
	require.NoError(t, b.ready(b.ctx))
	databases := numbered(4)
	b.createDatabases(databases...)
	b.hold(databases...)

	leader := b.leader(servers["nats-0"])
	b.kill(servers[leader])
	b.release(databases...)
	for _, database := range databases {
		b.succeeded(database)
	}
	b.startAgain(servers[leader])
	require.NoError(t, b.awaitOK(b.ctx, servers[leader], "8222", "/healthz"))
}

// startBrokers starts a cluster of NATS servers for the test, and has the
// services that are started from now on use it. When the test ends, everything
// is as it was, without services of the relay.
func (b *bundle) startBrokers(names ...string) map[string]*testcontainers.DockerContainer {
	b.Helper()
	var routes, urls []string
	for _, name := range names {
		routes, urls = append(routes, "nats://"+name+":6222"), append(urls, "nats://"+name+":4222")
	}
	before := b.natsURL
	b.natsURL = strings.Join(urls, ",")
	servers := map[string]*testcontainers.DockerContainer{}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if b.Failed() {
			b.explain(ctx) // while there are logs
		}
		b.natsURL = before
		for _, service := range stack.Relay {
			require.NoError(b, b.scale(ctx, service, 0))
		}
		for _, server := range servers {
			require.NoError(b, server.Terminate(ctx))
		}
	})
	for _, name := range names {
		server, err := b.start(b.ctx, imageNATS, []string{name}, testcontainers.WithCmd(
			"--name="+name, "--cluster_name=three", "--cluster=nats://0.0.0.0:6222", "--routes="+strings.Join(routes, ",")))
		require.NoError(b, err)
		servers[name] = server
	}
	for _, name := range names {
		require.NoError(b, b.awaitOK(b.ctx, servers[name], "8222", "/healthz"), b.logOf(b.ctx, servers[name]))
	}
	return servers
}

// leader is the name of the server that leads the relay's stream, once all copies
// of it are whole.
func (b *bundle) leader(server *testcontainers.DockerContainer) string {
	b.Helper()
	address, err := b.address(b.ctx, server)
	require.NoError(b, err)
	conn, err := bus.Connect(b.ctx, bus.Config{URL: "nats://" + net.JoinHostPort(address, "4222"), Name: "test"})
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close(b.ctx)) }()
	var leader string
	err = wait.PollUntilContextTimeout(b.ctx, 50*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		stream, err := conn.JetStream().Stream(ctx, events.Stream)
		if err != nil {
			return false, nil // nobody leads at the moment
		}
		cluster := stream.CachedInfo().Cluster
		if cluster == nil {
			return false, fmt.Errorf("stream %s is in no cluster", events.Stream)
		}
		leader = cluster.Leader
		current := 1
		for _, peer := range cluster.Replicas {
			if peer.Current {
				current++
			}
		}
		return leader != "" && current == 3, nil
	})
	require.NoError(b, err)
	return leader
}
