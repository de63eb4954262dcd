// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"github.com/opsrelay/opsrelay/deploy/stack"
)

// The broker goes away while volumes grow, and comes back with what it stored.
func TestFaultsOfASingleNATS(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			b := setup(t, 1)
			databases := numbered(2)
			b.createDatabases(databases...)
			b.hold(databases...)
			server := b.broker.servers["nats-0"]
			f.begin(b, server)
			b.release(databases...)
			b.grown(lastLeaf(databases[0]), "11Gi")
			f.end(b, server)
			b.succeeded(databases...)
		})
	}
}

// Three servers keep three copies of the stream. One of them goes away while
// volumes grow: the other two go on, and nothing is lost.
func TestFaultsOfThreeNATS(t *testing.T) {
	withThree(t)
	for _, role := range []string{"leader", "follower"} {
		for _, f := range faults {
			t.Run(f.name+" "+role, func(t *testing.T) {
				b := setup(t, 1)
				databases := numbered(2)
				b.createDatabases(databases...)
				leader, err := b.broker.leader(b.ctx)
				require.NoError(t, err)
				struck := leader
				if role == "follower" {
					struck = b.follower(leader)
				}
				b.hold(databases...)
				f.begin(b, b.broker.servers[struck])
				b.release(databases...)
				_, err = b.broker.leader(b.ctx, struck)
				require.NoError(t, err)
				b.grown(lastLeaf(databases[0]), "11Gi")
				f.end(b, b.broker.servers[struck])
				b.succeeded(databases...)
			})
		}
	}
}

// withThree has the services run on three servers until the test ends.
func withThree(t *testing.T) {
	t.Helper()
	b := setup(t, 0) // nobody works meanwhile
	single := b.broker
	three, err := startThree(b.ctx, b.engine, b.credentials)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, service := range stack.Relay {
			require.NoError(t, b.scale(ctx, service, 0))
		}
		b.broker = single
		for _, server := range three.servers {
			require.NoError(t, server.Terminate(ctx, testcontainers.StopTimeout(0)))
		}
	})
	require.NoError(t, err)
	b.broker = three
	require.NoError(t, b.provision(b.ctx))
}

// follower is one of the servers that do not lead.
func (b *bundle) follower(leader string) string {
	b.Helper()
	for name := range b.broker.servers {
		if name != leader {
			return name
		}
	}
	require.Fail(b, "there is no follower")
	return ""
}
