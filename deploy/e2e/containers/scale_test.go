// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"testing"

	"github.com/stretchr/testify/require"

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
	b.succeeded(names...)
	for _, name := range names {
		b.grown(lastLeaf(name), "11Gi")
	}
}

// Every replica of every service makes room for a new one, one at a time and as
// a Deployment does, while the volumes of twenty databases grow.
func TestRollingUpdate(t *testing.T) {
	b := setup(t, 3)
	names := numbered(20)
	b.createDatabases(names...)
	b.hold(names[0]) // there is something to do until the last one
	for _, name := range names[1:] {
		b.createRequest(expansion(name))
	}
	for _, service := range stack.Relay {
		for replica := range b.services[service] {
			b.replace(service, replica)
		}
	}
	b.release(names[0])
	b.succeeded(names...)
	for _, name := range names {
		b.grown(lastLeaf(name), "11Gi")
	}
}

// replace starts a new container of the service, and ends the older one when the
// new one is ready.
func (b *bundle) replace(service string, replica int) {
	b.Helper()
	younger, err := b.startService(b.ctx, service)
	require.NoError(b, err)
	older := b.services[service][replica]
	b.services[service][replica] = younger
	require.NoError(b, b.awaitOK(b.ctx, younger, "8080", "/readyz"), b.logOf(b.ctx, younger))
	b.stop(older)
	require.NoError(b, older.Terminate(b.ctx))
}
