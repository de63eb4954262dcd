// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// fault is what happens to a container, and how it ends.
type fault struct {
	name       string
	begin, end func(*bundle, *testcontainers.DockerContainer)
}

// A service that was cut off may come back with another address: its old
// connections are dead and nobody tells it.
var faults = []fault{
	{"restart", (*bundle).stop, (*bundle).startAgain},
	{"pause", (*bundle).pause, (*bundle).unpause},
	{"kill", (*bundle).kill, (*bundle).startAgain},
	{"disconnect", (*bundle).disconnect, (*bundle).reconnect},
}

// A service goes away in the middle of expansions, whose volumes grow meanwhile:
// the rest of the relay goes on, up to the step that is missing. What a killed
// service had in work goes to another one after the broker's patience, half a
// minute.
func TestFaultsOfAService(t *testing.T) {
	for _, f := range faults {
		for _, service := range stack.Relay {
			t.Run(f.name+" "+service, func(t *testing.T) { strike(setup(t, 1), f, service) })
		}
	}
}

// The whole relay goes away at once.
func TestFaultsOfTheRelay(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { strike(setup(t, 1), f, stack.Relay...) })
	}
}

// strike has the fault happen to the services in the middle of expansions, whose
// volumes grow while those services are away.
func strike(b *bundle, f fault, services ...string) {
	b.Helper()
	databases := numbered(2)
	b.createDatabases(databases...)
	b.hold(databases...)
	for _, service := range services {
		f.begin(b, b.services[service][0])
	}
	b.release(databases...)
	for _, database := range databases {
		b.grown(lastLeaf(database), "11Gi")
	}
	for _, service := range services {
		f.end(b, b.services[service][0])
	}
	b.succeeded(databases...)
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

// release ends the hold.
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
	require.NoError(b, b.signal(b.ctx, c, "SIGKILL"))
}

func (b *bundle) startAgain(c *testcontainers.DockerContainer) {
	b.Helper()
	_, err := b.docker.ContainerStart(b.ctx, c.GetContainerID(), client.ContainerStartOptions{})
	require.NoError(b, err)
}

// pause freezes a container. The engine may give up on one that is busy ("unable to
// freeze") and leave it half frozen: it is thawed and frozen again.
func (b *bundle) pause(c *testcontainers.DockerContainer) {
	b.Helper()
	var err error
	for range 5 {
		if _, err = b.docker.ContainerPause(b.ctx, c.GetContainerID(), client.ContainerPauseOptions{}); err == nil {
			return
		}
		b.Logf("freeze: %v", err)
		_, _ = b.docker.ContainerUnpause(b.ctx, c.GetContainerID(), client.ContainerUnpauseOptions{}) // it may not be frozen at all
	}
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
	_, err := b.docker.NetworkConnect(b.ctx, b.network.ID, client.NetworkConnectOptions{
		Container: c.GetContainerID(), EndpointConfig: &network.EndpointSettings{Aliases: b.aliases[c.GetContainerID()]},
	})
	require.NoError(b, err)
}
