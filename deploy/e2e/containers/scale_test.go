// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// Replicas share the work, and do nothing twice.
func TestThreeReplicasTwentyDatabases(t *testing.T) {
	b := setup(t, 3)
	names := numbered(20)
	b.createDatabases(names...)
	for _, name := range names {
		b.createRequest(expansion(name))
	}
	for _, name := range names {
		b.succeeded(name)
		b.grown(lastLeaf(name), "11Gi")
	}
}

// Every replica of every service is replaced, one at a time, while the volumes
// of twenty databases grow.
func TestRollingRestart(t *testing.T) {
	b := setup(t, 3)
	names := numbered(20)
	b.createDatabases(names...)
	require.NoError(t, b.storage.SetFault(b.ctx, cluster.AllVolumes, cluster.Fault{Delay: "2s"}))
	defer func() { require.NoError(t, b.storage.ClearFault(b.ctx, cluster.AllVolumes)) }()
	for _, name := range names {
		b.createRequest(expansion(name))
	}
	for _, service := range stack.Relay {
		for _, replica := range b.services[service] {
			b.stop(replica)
			b.startAgain(replica)
			require.NoError(t, b.awaitOK(b.ctx, replica, "8080", "/readyz"))
		}
	}
	for _, name := range names {
		b.succeeded(name)
		b.grown(lastLeaf(name), "11Gi")
	}
}
