// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/rest"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// up is all services in one process.
type up struct {
	logging     runtime.Logging
	kube        runtime.Kubernetes
	dataDir     string
	maxBytes    resource.QuantityValue
	natsAddress string
	httpAddress string
	profiling   bool
	accounts    string
	controllers bool
	services    []service
}

func upCommand() *cobra.Command {
	u := &up{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything in one process, with a NATS server of its own",
		Long: `Up runs the four services of the relay in one process, with an embedded NATS
JetStream that keeps its data in a directory: for a try, a laptop or a small
cluster. What is shared is the process only: the services speak over NATS, each
with its own identity in Kubernetes.

The manifests of deploy/base/rights must be applied: up acts as their service accounts,
for which the user of the kubeconfig needs the right to impersonate them.`,
		Example: `  opsrelay up --data-dir ./data
  opsrelay up --data-dir ./data --database-controllers   # a cluster without KubeDB`,
		GroupID: groupSetUp,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return u.run(cmd) },
	}
	flags := cmd.Flags()
	u.logging.AddFlags(flags)
	u.kube.AddFlags(flags)
	flags.StringVar(&u.dataDir, "data-dir", "opsrelay-data", "directory in which NATS keeps its data")
	addMaxBytesFlag(&u.maxBytes, flags)
	flags.StringVar(&u.natsAddress, "nats-address", "127.0.0.1:4222", "address at which NATS listens for subscribers; port 0 for a free one, empty for none")
	flags.StringVar(&u.httpAddress, "http-address", "127.0.0.1:8080", "address of /livez, /readyz and /metrics; empty for none")
	addProfilingFlag(&u.profiling, flags)
	flags.StringVar(&u.accounts, "service-accounts", "opsrelay", "namespace of the service accounts to act as; empty to act as the user of the kubeconfig")
	flags.BoolVar(&u.controllers, "database-controllers", false, "also run provisioner and petset, for a cluster without KubeDB")
	for _, s := range services() {
		if s.addFlags != nil {
			s.addFlags(flags)
		}
		u.services = append(u.services, s)
	}
	return cmd
}

// run runs everything until the context ends or one part fails.
func (u *up) run(cmd *cobra.Command) (err error) {
	base, err := u.logging.Logger(cmd.ErrOrStderr(), "")
	if err != nil {
		return err
	}
	logger := base.With().Str("service", "up").Logger()
	ctx := logger.WithContext(cmd.Context())
	defer func() { err = unlessStopped(ctx, err) }()
	config, err := u.kube.Config("up")
	if err != nil {
		return err
	}
	broker, unlock, err := u.startBroker(ctx, config)
	if err != nil {
		return err
	}
	defer unlock()
	defer broker.stop()
	logger.Info().Str("nats", broker.now().ClientURL()).Str("kubernetes", config.Host).Msg("starting")

	registry, health := runtime.NewRegistry(), runtime.NewHealth()
	health.Profiling = u.profiling
	group, groupCtx := errgroup.WithContext(watching(ctx, health))
	if u.httpAddress != "" {
		listener, err := net.Listen("tcp", u.httpAddress)
		if err != nil {
			return fmt.Errorf("--http-address: %w", err)
		}
		logger.Info().Str("http", "http://"+listener.Addr().String()).Msg("serving probes and metrics")
		group.Go(func() error { return health.Serve(groupCtx, listener, registry) })
	}
	suspected := make(chan struct{}, 1)
	group.Go(func() error { return broker.keep(groupCtx, suspected) })
	for _, s := range u.services {
		if s.group == groupKubeDB && !u.controllers {
			continue
		}
		group.Go(func() error {
			return u.runService(base.With().Str("service", s.name).Logger().WithContext(groupCtx), s, config, broker, suspected,
				environment{namespace: u.kube.Namespace, registry: registry, health: health})
		})
	}
	return group.Wait()
}

// runService runs one service with its own identity and its own connection, and
// with the logger of the context.
func (u *up) runService(ctx context.Context, s service, config *rest.Config, broker *embedded, suspected chan<- struct{}, env environment) error {
	var err error
	if env.clients, err = u.clients(config, s.name); err != nil {
		return err
	}
	if !s.needsBus {
		return s.run(ctx, env)
	}
	if env.bus, err = bus.Connect(ctx, bus.Config{Name: s.name, InProcess: broker}); err != nil {
		return err
	}
	env.health.Ready("nats "+s.name, env.bus.Ready)
	env.health.Live("nats "+s.name, env.bus.Live)
	defer env.bus.OnWritable(func() {
		select {
		case suspected <- struct{}{}:
		default: // it is being looked at
		}
	})()
	err = s.start(ctx, env)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), runtime.ShutdownTimeout)
	defer cancel()
	return errors.Join(err, env.bus.Close(ending))
}

// startBroker starts the embedded broker in a directory that is this process's
// alone, with its streams and consumers.
func (u *up) startBroker(ctx context.Context, config *rest.Config) (_ *embedded, unlock func(), err error) {
	bytes, err := maxBytes(u.maxBytes)
	if err != nil {
		return nil, nil, err
	}
	if unlock, err = runtime.LockDirectory(u.dataDir); err != nil {
		return nil, nil, fmt.Errorf("--data-dir: %w", err)
	}
	if err := checkDisk(u.dataDir, bytes); err != nil {
		unlock()
		return nil, nil, err
	}
	broker, err := startBroker(u.dataDir, u.natsAddress)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	if err := u.provisionBroker(ctx, broker, config, bytes); err != nil {
		broker.stop()
		unlock()
		return nil, nil, err
	}
	return broker, unlock, nil
}

// clients speak to Kubernetes with the identity of a service.
func (u *up) clients(config *rest.Config, service string) (runtime.Clients, error) {
	as := u.kube.As
	if u.accounts != "" {
		as = "system:serviceaccount:" + u.accounts + ":" + service
	}
	return runtime.NewClients(runtime.ServiceConfig(config, service, as))
}

// provisionBroker creates streams and consumers in the embedded broker, for the
// cluster in which the services will work. A cluster that is away is waited for.
func (u *up) provisionBroker(ctx context.Context, broker *embedded, config *rest.Config, maxBytes int64) error {
	clients, err := u.clients(config, events.WatcherConsumer.Name)
	if err != nil {
		return err
	}
	cluster, err := untilKnown(ctx, clients.Core, func(error) {})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	b, err := bus.Connect(ctx, bus.Config{Name: "provision", InProcess: broker})
	if err != nil {
		return err
	}
	return errors.Join(bus.Provision(ctx, b.JetStream(), 1, bus.WithMaxBytes(maxBytes), bus.WithCluster(cluster)), b.Close(ctx))
}
