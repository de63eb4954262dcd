// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// fault is what happens to a container, and how it ends.
type fault struct {
	begin, end func(*bundle, *testcontainers.DockerContainer)
}

func TestServiceRestarted(t *testing.T) {
	strikeTogether(setup(t, 1), fault{(*bundle).stop, (*bundle).startAgain})
}

// One service after the other stands still while a volume grows: the rest of
// the relay goes on, up to the step that is missing.
func TestServicePaused(t *testing.T) {
	strikeOneByOne(setup(t, 1), fault{(*bundle).pause, (*bundle).unpause})
}

// What a killed service had in work goes to another one after the broker's
// patience, half a minute.
func TestServiceKilled(t *testing.T) {
	strikeTogether(setup(t, 1), fault{(*bundle).kill, (*bundle).startAgain})
}

// A service that was cut off may come back with another address: its old
// connections are dead and nobody tells it.
func TestServiceDisconnected(t *testing.T) {
	strikeTogether(setup(t, 1), fault{(*bundle).disconnect, (*bundle).reconnect})
}

// NATS goes away while volumes grow, and comes back with what it stored.
func TestNATSRestarted(t *testing.T) {
	b := setup(t, 1)
	names := []string{"sdb-held", "sdb-next"}
	b.createDatabases(names...)
	b.hold(names[0])
	b.stop(b.broker)
	b.createRequest(expansion(names[1])) // nobody can be told of it yet
	b.release(names[0])
	b.grown(lastLeaf(names[0]), "11Gi")
	b.startAgain(b.broker)
	require.NoError(t, b.awaitOK(b.ctx, b.broker, "8222", "/healthz"))

	for _, name := range names {
		b.succeeded(name)
	}
}

// strikeOneByOne has the fault happen to one service after the other, each in
// the middle of an expansion whose volume grows while that service is away.
func strikeOneByOne(b *bundle, f fault) {
	b.Helper()
	databases := stack.Relay // one for each service
	b.createDatabases(databases...)
	b.hold(databases...)
	for _, service := range stack.Relay {
		f.begin(b, b.services[service][0])
		b.release(service)
		b.grown(lastLeaf(service), "11Gi")
		f.end(b, b.services[service][0])
	}
	for _, database := range databases {
		b.succeeded(database)
	}
}

// strikeTogether has the fault happen to every service in the middle of their
// expansions, and the volumes grow while the whole relay is away.
func strikeTogether(b *bundle, f fault) {
	b.Helper()
	databases := numbered(4)
	b.createDatabases(databases...)
	b.hold(databases...)
	for _, service := range stack.Relay {
		f.begin(b, b.services[service][0])
	}
	b.release(databases...)
	for _, database := range databases {
		b.grown(lastLeaf(database), "11Gi")
	}
	for _, service := range stack.Relay {
		f.end(b, b.services[service][0])
	}
	for _, database := range databases {
		b.succeeded(database)
	}
}

// hold begins the expansion of each database, and holds it in the middle: its
// last volume does not grow.
func (b *bundle) hold(databases ...string) {
	b.Helper()
	for _, database := range databases {
		claim := cluster.ClaimVolume(b.namespace, lastLeaf(database))
		require.NoError(b, b.storage.SetFault(b.ctx, claim, cluster.Fault{Never: true}))
		b.createRequest(expansion(database))
	}
	for _, database := range databases {
		b.asked(lastLeaf(database), "11Gi")
	}
}

// release ends the hold. The volumes grow when the resizer asks the storage
// again, after its 10 s without an answer.
func (b *bundle) release(databases ...string) {
	b.Helper()
	for _, database := range databases {
		require.NoError(b, b.storage.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, lastLeaf(database))))
	}
}

// stop ends a container as Kubernetes does: SIGTERM, and half a minute of time.
func (b *bundle) stop(c *testcontainers.DockerContainer) {
	b.Helper()
	grace := 30
	_, err := b.docker.ContainerStop(b.ctx, c.GetContainerID(), client.ContainerStopOptions{Timeout: &grace})
	require.NoError(b, err)
}

func (b *bundle) kill(c *testcontainers.DockerContainer) {
	b.Helper()
	_, err := b.docker.ContainerKill(b.ctx, c.GetContainerID(), client.ContainerKillOptions{})
	require.NoError(b, err)
}

func (b *bundle) startAgain(c *testcontainers.DockerContainer) {
	b.Helper()
	_, err := b.docker.ContainerStart(b.ctx, c.GetContainerID(), client.ContainerStartOptions{})
	require.NoError(b, err)
}

func (b *bundle) pause(c *testcontainers.DockerContainer) {
	b.Helper()
	_, err := b.docker.ContainerPause(b.ctx, c.GetContainerID(), client.ContainerPauseOptions{})
	require.NoError(b, err)
}

func (b *bundle) unpause(c *testcontainers.DockerContainer) {
	b.Helper()
	_, err := b.docker.ContainerUnpause(b.ctx, c.GetContainerID(), client.ContainerUnpauseOptions{})
	require.NoError(b, err)
}

func (b *bundle) disconnect(c *testcontainers.DockerContainer) {
	b.Helper()
	_, err := b.docker.NetworkDisconnect(b.ctx, b.network.ID, client.NetworkDisconnectOptions{Container: c.GetContainerID()})
	require.NoError(b, err)
}

func (b *bundle) reconnect(c *testcontainers.DockerContainer) {
	b.Helper()
	_, err := b.docker.NetworkConnect(b.ctx, b.network.ID, client.NetworkConnectOptions{Container: c.GetContainerID()})
	require.NoError(b, err)
}
