// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// environment is what a service finds when it is started.
type environment struct {
	// clients speak to Kubernetes with the service's identity.
	clients runtime.Clients
	// bus is the connection to NATS; nil for a service that needs none.
	bus *bus.Bus
	// namespace limits what is watched; empty means all.
	namespace string
	registry  *prometheus.Registry
	health    *runtime.Health
}

// serviceCommand returns the command that runs one service as a process.
func serviceCommand(s service) *cobra.Command {
	var (
		logging  runtime.Logging
		tracing  runtime.Tracing
		kube     runtime.Kubernetes
		nats     = bus.Config{Name: s.name}
		httpAddr string
		profiles bool
	)
	cmd := &cobra.Command{
		Use:     s.name,
		Short:   s.short,
		Long:    s.long,
		Example: s.example,
		GroupID: s.group,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			logger, err := logging.Logger(cmd.ErrOrStderr(), s.name)
			if err != nil {
				return err
			}
			ctx := logger.WithContext(cmd.Context())
			defer func() { err = unlessStopped(ctx, err) }()
			config, err := kube.Config(s.name)
			if err != nil {
				return err
			}
			clients, err := runtime.NewClients(config)
			if err != nil {
				return err
			}
			stopTracing, err := tracing.Start(ctx, s.name)
			if err != nil {
				return err
			}
			defer func() {
				ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracingTimeout)
				defer cancel()
				_ = stopTracing(ending) // the last spans are not worth a failure
			}()
			env := environment{clients: clients, namespace: kube.Namespace, registry: runtime.NewRegistry(), health: runtime.NewHealth()}
			env.health.Profiling = profiles
			if s.needsBus {
				if env.bus, err = bus.Connect(ctx, nats); err != nil {
					return err
				}
			}
			return runProcess(ctx, s, env, httpAddr)
		},
	}
	flags := cmd.Flags()
	logging.AddFlags(flags)
	tracing.AddFlags(flags)
	kube.AddFlags(flags)
	probes := ":8080"
	if s.withoutProbes {
		probes = ""
	}
	flags.StringVar(&httpAddr, "http-address", probes, "address of /livez, /readyz and /metrics; empty for none")
	addProfilingFlag(&profiles, flags)
	if s.needsBus {
		nats.AddFlags(flags)
	}
	if s.addFlags != nil {
		s.addFlags(flags)
	}
	return cmd
}

// unlessStopped drops an error that is the end of the context, by which a process is
// asked to end: it may be asked so at any line of its start.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.Cause(ctx)) {
		return err
	}
	zerolog.Ctx(ctx).Warn().Err(err).Msg("asked to end before it had begun")
	return nil
}

// addProfilingFlag adds the flag of profiles.
func addProfilingFlag(profiles *bool, flags *pflag.FlagSet) {
	flags.BoolVar(profiles, "profiling", false, "also serve Go's profiles of the process, at /debug/pprof/ of --http-address; whoever reaches it can read the process's memory")
}

// tracingTimeout is how long the last spans are sent for.
const tracingTimeout = 3 * time.Second

// runProcess runs the service until the context ends or its connection to NATS
// does, and then ends in order: the service hands over what it works on, then
// the connection is drained.
func runProcess(ctx context.Context, s service, env environment, httpAddr string) error {
	logger := zerolog.Ctx(ctx)
	logger.Info().Str("version", runtime.Version()).Msg("starting")
	ctx = watching(ctx, env.health)
	group, groupCtx := errgroup.WithContext(ctx)
	if httpAddr != "" {
		listener, err := net.Listen("tcp", httpAddr)
		if err != nil {
			return fmt.Errorf("--http-address: %w", err)
		}
		group.Go(func() error { return env.health.Serve(groupCtx, listener, env.registry) })
	}
	if env.bus != nil {
		env.health.Ready("nats", env.bus.Ready)
		env.health.Live("nats", env.bus.Live)
		group.Go(func() error { return untilClosed(groupCtx, env.bus) })
	}
	group.Go(func() error { return s.start(groupCtx, env) })
	err := group.Wait()
	if env.bus != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), runtime.ShutdownTimeout)
		defer cancel()
		err = errors.Join(err, env.bus.Close(ending))
	}
	logger.Info().Err(err).Msg("stopped")
	return err
}

// watching returns a context for services whose informers are part of the health: a
// service that cannot watch does not do its work.
func watching(ctx context.Context, health *runtime.Health) context.Context {
	watches := &kubedb.Watches{}
	health.Ready("kubernetes", watches.Check)
	return watches.NewContext(ctx)
}

// start runs the service, once it is known that it may work on what the broker has.
func (s service) start(ctx context.Context, env environment) error {
	if s.consumer.Name != "" {
		if err := env.joinCluster(ctx, s.consumer); err != nil {
			return ignoreEnd(ctx, err)
		}
	}
	return s.run(ctx, env)
}

// ignoreEnd is nil where the service was asked to end.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// untilClosed returns an error when the connection has ended for good: the
// process cannot go on and is restarted by whoever supervises it.
func untilClosed(ctx context.Context, b *bus.Bus) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.Closed():
		return errors.New("the connection to NATS has ended for good")
	}
}
