// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/network"
	"k8s.io/apimachinery/pkg/util/wait"
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
	// aliases are the names at which others find a container, by its id.
	aliases map[string][]string
}

// pingTimeout bounds how long an engine may take to answer: a few milliseconds, if
// there is one at that address.
const pingTimeout = 20 * time.Second

// findEngine connects to the engine, if there is one. Where DOCKER_HOST names one
// that does not answer, there is none: no other is looked for.
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
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if os.Getenv("DOCKER_HOST") != "" {
		if err := pingNamed(ctx); err != nil {
			return nil, err
		}
	}
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := docker.Ping(ctx, client.PingOptions{}); err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	return docker, nil
}

// pingNamed asks the engine that the environment names whether it is there.
func pingNamed(ctx context.Context) error {
	named, err := client.New(client.FromEnv)
	if err != nil {
		return err
	}
	_, err = named.Ping(ctx, client.PingOptions{})
	return errors.Join(err, named.Close())
}

// newEngine makes the network of a run. The caller must close the engine, even
// after an error.
func newEngine(ctx context.Context, docker *testcontainers.DockerClient) (*engine, error) {
	e := &engine{docker: docker, run: uuid.NewString(), aliases: map[string][]string{}}
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

// start starts a container of the image that can be called by the names.
func (e *engine) start(ctx context.Context, image string, names []string, options ...testcontainers.ContainerCustomizer) (*testcontainers.DockerContainer, error) {
	options = append([]testcontainers.ContainerCustomizer{
		testcontainers.WithLabels(e.labels()), network.WithNetwork(names, e.network),
	}, options...)
	container, err := testcontainers.Run(ctx, image, options...)
	if err == nil {
		e.aliases[container.GetContainerID()] = names
	}
	return container, err
}

// signal sends a signal to a container's process.
func (e *engine) signal(ctx context.Context, container *testcontainers.DockerContainer, signal string) error {
	_, err := e.docker.ContainerKill(ctx, container.GetContainerID(), client.ContainerKillOptions{Signal: signal})
	return err
}

// logOf is what a container logged so far, or why there is none.
func (e *engine) logOf(ctx context.Context, container *testcontainers.DockerContainer) string {
	logs, err := container.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = logs.Close() }() // it was only read
	text, err := io.ReadAll(logs)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// probe asks once and keeps no connection: the container may have another
// address the next time.
var probe = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// awaitOK waits until the container answers with 200.
func (e *engine) awaitOK(ctx context.Context, container *testcontainers.DockerContainer, port, path string) error {
	last := "nothing"
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		address, err := e.address(ctx, container)
		if err != nil {
			last = err.Error()
			return false, nil
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(address, port)+path, nil)
		if err != nil {
			return false, err
		}
		response, err := probe.Do(request)
		if err != nil {
			last = err.Error()
			return false, nil
		}
		last = response.Status
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("%s of %s: %w (last answer: %s)", path, container.GetContainerID(), err, last)
	}
	return nil
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
