// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/natsauth"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// The names and ports at which containers find each other.
const (
	hostCluster = "cluster"
	clusterURL  = "https://" + hostCluster + ":6443"
)

// controlPort is where the control of the storage driver is made reachable.
const controlPort = "9000"

// readyTimeout is how long a container may take until it is ready, which takes a
// second on an idle machine.
const readyTimeout = 2 * time.Minute

// installation is all of Opsrelay as it is shipped.
type installation struct {
	*engine
	credentials *credentials
	broker      *broker // what services are started with
	api         *testcontainers.DockerContainer
	config      *rest.Config     // the administrator's
	clients     runtime.Clients  // the administrator's
	storage     *cluster.Cluster // its storage driver takes faults
	// services are the replicas of each service.
	services map[string][]*testcontainers.DockerContainer
}

// install starts everything, with one replica of each service, and returns when
// all are ready. The engine's close ends it.
func install(ctx context.Context, e *engine, directory string) (*installation, error) {
	i := &installation{engine: e, services: map[string][]*testcontainers.DockerContainer{}}
	var err error
	if i.credentials, err = newCredentials(ctx, filepath.Join(directory, "opsrelay"), filepath.Join(directory, "nats-auth"),
		nameSingle, nameService, "*"+domainThree); err != nil {
		return nil, err
	}
	if i.broker, err = startSingle(ctx, e, i.credentials); err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	if err := i.startCluster(ctx, directory); err != nil {
		return nil, fmt.Errorf("start the development cluster: %w", err)
	}
	if err := cluster.Install(ctx, i.config); err != nil {
		return nil, err
	}
	if err := i.provision(ctx); err != nil {
		return nil, fmt.Errorf("provision the broker: %w", err)
	}
	for _, service := range allServices() {
		if err := i.scale(ctx, service, 1); err != nil {
			return nil, err
		}
	}
	return i, i.ready(ctx)
}

// allServices lists those of the relay and those in KubeDB's place.
func allServices() []string { return append(append([]string{}, stack.Relay...), stack.KubeDB...) }

func (i *installation) startCluster(ctx context.Context, directory string) (err error) {
	i.api, err = i.start(ctx, imageCluster, []string{hostCluster}, testcontainers.WithWaitStrategy(wait.ForLog(`{"kubeconfig"`).WithStartupTimeout(readyTimeout)))
	if err != nil {
		return err
	}
	if err := i.openControl(ctx); err != nil {
		return err
	}
	kubeconfig := filepath.Join(directory, "admin.kubeconfig")
	if err := copyFile(ctx, i.api, "/data/admin.kubeconfig", kubeconfig); err != nil {
		return err
	}
	if i.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return err
	}
	address, err := i.address(ctx, i.api)
	if err != nil {
		return err
	}
	i.config.Host, i.config.ServerName, i.config.QPS = "https://"+address+":6443", hostCluster, -1
	i.clients, err = runtime.NewClients(runtime.ServiceConfig(i.config, "test", ""))
	return err
}

// openControl makes the control of the storage driver reachable from here.
func (i *installation) openControl(ctx context.Context) error {
	target, err := i.controlAddress(ctx)
	if err != nil {
		return err
	}
	_, err = testcontainers.Run(ctx, imageCluster,
		testcontainers.WithLabels(i.labels()),
		testcontainers.WithEntrypoint("/forward"), testcontainers.WithCmd(":"+controlPort, target),
		testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
			host.NetworkMode = container.NetworkMode("container:" + i.api.GetContainerID())
		}),
		testcontainers.WithWaitStrategy(wait.ForLog("forwarding to").WithStartupTimeout(readyTimeout)))
	if err != nil {
		return err
	}
	address, err := i.address(ctx, i.api)
	i.storage = &cluster.Cluster{CSI: "http://" + address + ":" + controlPort}
	return err
}

// controlAddress is where the control listens inside the container, as the line
// says that the cluster prints when it is ready.
func (i *installation) controlAddress(ctx context.Context) (_ string, err error) {
	logs, err := i.api.Logs(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	var ready struct{ CSI string }
	text, err := io.ReadAll(logs)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, &ready); err != nil {
		return "", fmt.Errorf("it said %q: %w", text, err)
	}
	return ready.CSI[len("http://"):], nil
}

// provision runs `opsrelay provision` to its end, and lets the third party read.
func (i *installation) provision(ctx context.Context) error {
	copies := strconv.Itoa(len(i.broker.servers))
	if err := i.runAs(ctx, natsauth.ProvisionUser, "provision", "--replicas="+copies); err != nil {
		return err
	}
	return i.runAs(ctx, natsauth.ProvisionUser, "nats-auth", "durables", userSubscriber)
}
