// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/network"
)

// runLabel is on everything that a run makes, with the run's own value: there is
// no reaper, whose image would have to be pulled.
const runLabel = "dev.opsrelay.containers-test"

// leftoverAge is the age from which what an earlier run left is removed. No run
// takes that long.
const leftoverAge = time.Hour

// engine is the Docker engine, and the network in which everything runs.
type engine struct {
	docker  *testcontainers.DockerClient
	network *testcontainers.DockerNetwork
	run     string
}

// findEngine connects to the engine, if there is one.
func findEngine(ctx context.Context) (_ *testcontainers.DockerClient, err error) {
	// testcontainers panics where it finds no engine at all.
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("%v", problem)
		}
	}()
	settings := map[string]string{
		"TESTCONTAINERS_RYUK_DISABLED": "true",
		// In a container itself it would guess the gateway, and wait for it.
		"TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
	}
	for name, value := range settings {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	// It tells of every container that it makes. Failures are returned.
	log.SetDefault(log.NewNoopLogger())
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := docker.Ping(ctx, client.PingOptions{}); err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	return docker, nil
}

// newEngine makes the network of a run. The caller must close the engine, even
// after an error.
func newEngine(ctx context.Context, docker *testcontainers.DockerClient) (*engine, error) {
	e := &engine{docker: docker, run: uuid.NewString()}
	if err := e.removeLeftovers(ctx); err != nil {
		return e, err
	}
	var err error
	e.network, err = network.New(ctx, network.WithLabels(e.labels()))
	return e, err
}

func (e *engine) labels() map[string]string { return map[string]string{runLabel: e.run} }

// close removes everything that has this run's label.
func (e *engine) close(ctx context.Context) error {
	mine := make(client.Filters).Add("label", runLabel+"="+e.run)
	return errors.Join(e.sweep(ctx, mine, 0), e.docker.Close())
}

// removeLeftovers removes what runs that were killed could not.
func (e *engine) removeLeftovers(ctx context.Context) error {
	return e.sweep(ctx, make(client.Filters).Add("label", runLabel), leftoverAge)
}

// sweep removes the containers, their volumes and the networks that match and
// are as old as that.
func (e *engine) sweep(ctx context.Context, filters client.Filters, age time.Duration) error {
	limit := time.Now().Add(-age)
	containers, err := e.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return err
	}
	var failures []error
	for _, container := range containers.Items {
		if time.Unix(container.Created, 0).After(limit) {
			continue
		}
		_, err := e.docker.ContainerRemove(ctx, container.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		failures = append(failures, err)
	}
	networks, err := e.docker.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
	failures = append(failures, err)
	for _, network := range networks.Items {
		if network.Created.After(limit) {
			continue
		}
		_, err := e.docker.NetworkRemove(ctx, network.ID, client.NetworkRemoveOptions{})
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// address is where a container is reached. It may be another one after each
// start.
func (e *engine) address(ctx context.Context, container *testcontainers.DockerContainer) (string, error) {
	address, err := container.ContainerIP(ctx)
	if err == nil && address == "" {
		err = errors.New("it has no address")
	}
	if err != nil {
		return "", fmt.Errorf("address of %s: %w", container.GetContainerID(), err)
	}
	return address, nil
}
