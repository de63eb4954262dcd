// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package stack runs all of Opsrelay on a development cluster as it runs in
// production: a broker, and each service as a process of its own with its own
// identity, which can be stopped, killed and restarted.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// Relay lists the services of the relay, KubeDB those that stand in for it.
var (
	Relay  = []string{"watcher", "pauser", "expander", "updater"}
	KubeDB = []string{"provisioner", "petset"}
)

// Options say what to start.
type Options struct {
	// Directory is where logs and data go; it must exist.
	Directory string
	// Binary is the opsrelay binary.
	Binary string
	// NodeExpansionDelay is that of [cluster.Options].
	NodeExpansionDelay time.Duration
	// Attach is that of [cluster.Options].
	Attach bool
	// Args are flags that a service is started with each time, by its name.
	Args map[string][]string
	// Replicas is how many processes of each service of the relay run. 0 means 1.
	Replicas int
	// NATS is the URL of a broker, and NATSReplicas how many servers keep a stream
	// there. Empty means a broker in this process.
	NATS         string
	NATSReplicas int
	// AuditReads is that of [cluster.Options].
	AuditReads bool
	// Cluster is a cluster with everything installed that is used and left
	// running; nil means one of the stack's own.
	Cluster *cluster.Cluster
	// Namespace is the one that the services work in; empty means all.
	Namespace string
	// Processes lists what is started, as StartService names it; nil means KubeDB
	// and [Stack.Names].
	Processes []string
	// Environment is added to that of every service.
	Environment []string
	// AckWait is how soon the broker gives the work of a dead worker to another,
	// and MaxDeliver how often; 0 means as in production.
	AckWait    time.Duration
	MaxDeliver int
}

// Stack is a running installation. It is safe for concurrent use.
type Stack struct {
	// Cluster is the development cluster.
	Cluster *cluster.Cluster
	// Clients are the administrator's.
	Clients runtime.Clients
	// NATS is the broker's URL.
	NATS string

	options Options
	broker  *server.Server

	mu        sync.Mutex
	processes map[string]*Process
}

// Start starts the cluster, the broker and every service, and returns when the
// streams are there; the services come up meanwhile. The caller must Stop it.
func Start(ctx context.Context, options Options) (*Stack, error) {
	s := &Stack{options: options, processes: map[string]*Process{}}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) (err error) {
	if s.Cluster = s.options.Cluster; s.Cluster == nil {
		if err := s.startCluster(ctx); err != nil {
			return err
		}
	}
	if s.Clients, err = runtime.NewClients(runtime.ServiceConfig(s.Cluster.Config(), "test", "")); err != nil {
		return err
	}
	if err := s.startBroker(ctx); err != nil {
		return err
	}
	for _, name := range s.started() {
		if err := s.StartService(name); err != nil {
			return err
		}
	}
	return nil
}

// started lists what is started.
func (s *Stack) started() []string {
	if s.options.Processes != nil {
		return s.options.Processes
	}
	return slices.Concat(KubeDB, s.Names())
}

// startCluster starts a cluster of the stack's own, with everything installed.
func (s *Stack) startCluster(ctx context.Context) error {
	log, err := os.Create(s.LogFile("cluster"))
	if err != nil {
		return fmt.Errorf("start the stack: %w", err)
	}
	defer func() { _ = log.Close() }() // the cluster has its own copy
	s.Cluster, err = cluster.Start(ctx, cluster.Options{
		AuditLog: filepath.Join(s.options.Directory, "audit.log"), NodeExpansionDelay: s.options.NodeExpansionDelay,
		Attach: s.options.Attach, AuditReads: s.options.AuditReads, Fast: true, Stderr: log,
	})
	if err != nil {
		return err
	}
	return cluster.Install(ctx, s.Cluster.Config())
}

// Names are the processes of the relay: each service's, "expander" for one, and
// those of its further replicas, "expander.2".
func (s *Stack) Names() []string {
	names := slices.Clone(Relay)
	for replica := 2; replica <= s.options.Replicas; replica++ {
		for _, service := range Relay {
			names = append(names, fmt.Sprintf("%s.%d", service, replica))
		}
	}
	return names
}

func (s *Stack) startBroker(ctx context.Context) error {
	if s.NATS = s.options.NATS; s.NATS != "" {
		return s.provision(ctx, max(s.options.NATSReplicas, 1))
	}
	if err := s.listen(server.RANDOM_PORT); err != nil {
		return err
	}
	return s.provision(ctx, 1)
}

// listen starts the broker in this process.
func (s *Stack) listen(port int) error {
	broker, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, NoSigs: true, NoLog: true,
		StoreDir: filepath.Join(s.options.Directory, "nats"),
	})
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	s.broker = broker
	broker.Start()
	if !broker.ReadyForConnections(30 * time.Second) {
		return errors.New("start the broker: not ready in 30 s")
	}
	s.NATS = broker.ClientURL()
	return nil
}

// RestartBroker stops the broker in this process, and starts it again with its
// data, at its address.
func (s *Stack) RestartBroker() error {
	address, ok := s.broker.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("restart the broker: it listens to nobody")
	}
	s.broker.Shutdown()
	s.broker.WaitForShutdown()
	return s.listen(address.Port)
}

// provision creates streams and consumers, with what the options change of them.
func (s *Stack) provision(ctx context.Context, replicas int) error {
	b, err := s.Connect(ctx, "provision")
	if err != nil {
		return err
	}
	defer func() { _ = b.Close(ctx) }() // everything was answered
	cluster, err := runtime.ClusterUID(ctx, s.Clients.Core)
	if err != nil {
		return err
	}
	if err := bus.Provision(ctx, b.JetStream(), replicas, bus.WithCluster(cluster)); err != nil {
		return err
	}
	if s.options.AckWait == 0 && s.options.MaxDeliver == 0 {
		return nil
	}
	for _, consumer := range events.Consumers() {
		config := consumer.Config()
		config.Metadata = map[string]string{bus.MetadataCluster: cluster}
		config.AckWait = cmp.Or(s.options.AckWait, config.AckWait)
		if config.MaxDeliver > 0 { // what waits is delivered as often as it takes
			config.MaxDeliver = cmp.Or(s.options.MaxDeliver, config.MaxDeliver)
		}
		if _, err := b.JetStream().UpdateConsumer(ctx, consumer.Stream, config); err != nil {
			return fmt.Errorf("change consumer %s: %w", consumer.Name, err)
		}
	}
	return nil
}

// Connect returns a new connection to the broker; the caller must close it.
func (s *Stack) Connect(ctx context.Context, name string) (*bus.Bus, error) {
	return bus.Connect(ctx, bus.Config{URL: s.NATS, Name: name})
}

// LogFile is where the service of that name logs.
func (s *Stack) LogFile(name string) string {
	return filepath.Join(s.options.Directory, name+".log")
}

// Stop ends everything, in the order in which a user would.
func (s *Stack) Stop() error {
	var failures []error
	names := slices.Clone(s.started())
	slices.Reverse(names)
	for _, name := range names {
		failures = append(failures, s.StopService(name))
	}
	if s.broker != nil {
		s.broker.Shutdown()
		s.broker.WaitForShutdown()
	}
	if s.Cluster != nil && s.options.Cluster == nil {
		failures = append(failures, s.Cluster.Stop())
	}
	return errors.Join(failures...)
}
