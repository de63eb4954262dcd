// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/expander"
	"github.com/opsrelay/opsrelay/pauser"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/petset"
	"github.com/opsrelay/opsrelay/services/provisioner"
	"github.com/opsrelay/opsrelay/services/runtime"
	"github.com/opsrelay/opsrelay/updater"
	"github.com/opsrelay/opsrelay/watcher"
)

// service is one service: its place in the help, and how it is run.
type service struct {
	name, short, long, example, group string
	// needsBus says that it speaks to NATS.
	needsBus bool
	// withoutProbes says that it serves no probes and metrics unless told to: people
	// run it, too, and want no port open.
	withoutProbes bool
	// consumer is what it pulls from, which has to be of the cluster in which it
	// runs; none for what only reads.
	consumer events.Consumer
	// addFlags adds the flags of its own, if it has any.
	addFlags func(*pflag.FlagSet)
	// run runs it until the context ends.
	run func(context.Context, environment) error
}

// services lists every service, with its flags at their defaults.
func services() []service {
	return []service{watcherService(), pauserService(), expanderService(), updaterService(), provisionerService(), petsetService()}
}

func watcherService() service {
	var config watcher.Config
	return service{
		name: "watcher", group: groupRelay, needsBus: true, consumer: events.WatcherConsumer,
		short: "Admit operation requests, and write their status",
		long: `The watcher watches SinglestoreOpsRequests. A request that can work is published
as requested, one that cannot as rejected, with the field and the reason, before
anything is touched. A request that is deleted under way is published as
cancelled. The watcher also folds every fact of the relay back into the
request's phase and conditions, as KubeDB writes them.`,
		example: "  opsrelay watcher --nats-url nats://nats:4222",
		addFlags: func(flags *pflag.FlagSet) {
			config.Policy.AddFlags(flags)
			flags.DurationVar(&config.StepTimeout, "step-timeout", 30*time.Minute, "how long a step may take if the request has no spec.timeout")
			flags.DurationVar(&config.RedriveAfter, "redrive-after", time.Minute, "how long a request may be under way without news before it is compared with its chain, which the broker may have lost")
			flags.BoolVar(&config.LeaveOtherTypes, "leave-other-types", false, "leave requests of types other than VolumeExpansion alone instead of rejecting them")
			flags.StringVar(&config.Installation, "installation", runtime.Installation(), "name of this installation, the same for its replicas: requests that another one answers are left to it (in a pod its namespace, else local). Renamed, give the old name until the requests under way have ended")
			flags.IntVar(&config.Workers, "workers", 32, "requests that are looked at side by side")
		},
		run: func(ctx context.Context, env environment) error {
			if err := kubedb.CheckInstallation(config.Installation); err != nil {
				return fmt.Errorf("--installation: %w", err)
			}
			config.Client, config.Core, config.Namespace = env.clients.KubeDB, env.clients.Core, env.namespace
			config.Chain, config.Registerer = env.bus.Chain("watcher"), env.registry
			w, err := watcher.New(config)
			if err != nil {
				return err
			}
			if err := env.registry.Register(config.Chain.UsageMetrics()); err != nil {
				return fmt.Errorf("register the metrics of the broker: %w", err)
			}
			env.health.ReadyWhen("watch", w.HasSynced, "requests and databases are not listed yet")
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return w.Run(ctx) })
			group.Go(func() error {
				if !cache.WaitForCacheSync(ctx.Done(), w.HasSynced) {
					return nil
				}
				return runStep(ctx, env, bus.RunnerConfig{Consumer: events.WatcherConsumer, Step: w, Observer: true})
			})
			group.Go(func() error {
				return env.bus.WatchProgress(ctx, w.Progress)
			})
			// What nobody answered in time, and what the broker gave up on, fails.
			for _, consumer := range []events.Consumer{events.TimeoutConsumer, events.DeadLetterConsumer} {
				group.Go(func() error {
					return runStep(ctx, env, bus.RunnerConfig{Consumer: consumer, Source: "watcher"})
				})
			}
			return group.Wait()
		},
	}
}

func pauserService() service {
	return service{
		name: "pauser", group: groupRelay, needsBus: true, consumer: events.PauserConsumer,
		short: "Pause databases, and resume them whatever happened",
		long: `The pauser takes the pause of a database for a request (requested -> paused) and
gives it back at the end, after success, failure and cancellation alike (updated,
failed, cancelled -> resumed). The pause is KubeDB's own: a True Paused condition
in the database's status. Somebody else's pause is waited for and never removed, and
no database stays paused for a request that has ended.`,
		example: "  opsrelay pauser --nats-url nats://nats:4222",
		run: func(ctx context.Context, env environment) error {
			databases, err := pauser.NewDatabases(env.clients.KubeDB, env.namespace)
			if err != nil {
				return err
			}
			step := pauser.New(env.clients.KubeDB, databases)
			sweeper, err := pauser.NewSweeper(step, env.bus.Chain("pauser").Last)
			if err != nil {
				return err
			}
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return sweeper.Run(ctx) })
			group.Go(func() error {
				return runStep(ctx, env, bus.RunnerConfig{Consumer: events.PauserConsumer, Step: step})
			})
			return group.Wait()
		},
	}
}

func expanderService() service {
	var perClass int
	return service{
		name: "expander", group: groupRelay, needsBus: true, consumer: events.ExpanderConsumer,
		short: "Grow every volume, and wait until that is true",
		long: `The expander raises the storage request of every persistent volume claim of the
components that a request names (paused -> expanded), side by side, and watches
until each claim's capacity is at least what was requested. The pod of a volume
that waits for its node is annotated, which makes the kubelet act at once instead
of at its next sync, up to a minute later.

In mode Offline it does so pod by pod: it holds the pod by a finalizer, evicts it,
and takes the finalizer off when the volume has grown. No pod stays held for a
request that has ended.`,
		example: "  opsrelay expander --nats-url nats://nats:4222",
		addFlags: func(flags *pflag.FlagSet) {
			flags.IntVar(&perClass, "volumes-per-class", 0, "volumes of one StorageClass that an expander grows at once Online; 0 for no bound")
		},
		run: func(ctx context.Context, env environment) error {
			claims, err := expander.NewClaims(env.clients.Core, env.namespace)
			if err != nil {
				return err
			}
			workloads, err := expander.NewWorkloads(env.clients.KubeDB, env.namespace)
			if err != nil {
				return err
			}
			env.health.ReadyWhen("watch", claims.HasSynced, "claims are not listed yet")
			chain := env.bus.Chain("expander")
			tell := func(ctx context.Context, key events.ChainKey, p events.Progress) {
				if err := chain.Progress(ctx, key, p); err != nil {
					zerolog.Ctx(ctx).Debug().Str("claim", p.Claim).Err(err).Msg("progress not published")
				}
			}
			step := expander.New(env.clients.KubeDB, env.clients.Core, claims, workloads, tell)
			sweeper, err := expander.NewSweeper(step, env.namespace, chain.Last)
			if err != nil {
				return err
			}
			step.LimitPerClass(perClass)
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return sweeper.Run(ctx) })
			group.Go(func() error { claims.Run(ctx); return nil })
			group.Go(func() error { workloads.Run(ctx); return nil })
			group.Go(func() error {
				if !cache.WaitForCacheSync(ctx.Done(), claims.HasSynced) {
					return nil
				}
				return runStep(ctx, env, bus.RunnerConfig{Consumer: events.ExpanderConsumer, Step: step})
			})
			return group.Wait()
		},
	}
}

func updaterService() service {
	return service{
		name: "updater", group: groupRelay, needsBus: true, consumer: events.UpdaterConsumer,
		short: "Write the new sizes into workload and database object",
		long: `The updater raises the size in the workload's claim templates and in the database
object (expanded -> updated), so that volumes made later are as large. It touches
no other field, and no size that is larger already.

A PetSet is changed in place. A StatefulSet does not allow that: it is deleted
without its pods and recreated, as it was but for the sizes. Before that, the
complete StatefulSet is stored in the ControllerRevision opsrelay.recreate.NAME
beside it, and a finalizer keeps it until its last state is stored, too, so that
it is recreated whoever dies meanwhile.`,
		example: "  opsrelay updater --nats-url nats://nats:4222",
		run: func(ctx context.Context, env environment) error {
			step := updater.New(env.clients.KubeDB, env.clients.Core)
			sweeper, err := updater.NewSweeper(step, env.namespace, env.bus.Chain("updater").Last)
			if err != nil {
				return err
			}
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return sweeper.Run(ctx) })
			group.Go(func() error {
				return runStep(ctx, env, bus.RunnerConfig{Consumer: events.UpdaterConsumer, Step: step})
			})
			return group.Wait()
		},
	}
}

// runStep runs a step on its consumer until the context ends.
func runStep(ctx context.Context, env environment, config bus.RunnerConfig) error {
	config.Registerer, config.Retry = env.registry, retryOf
	if config.Source == "" {
		config.Source = config.Consumer.Name
	}
	runner := env.bus.NewRunner(config)
	env.health.Ready(config.Consumer.Name, runner.Ready)
	env.health.Live(config.Consumer.Name, runner.Live)
	return runner.Run(ctx)
}

func provisionerService() service {
	return service{
		name: "provisioner", group: groupKubeDB,
		short: "Make what a Singlestore object asks for, in KubeDB's place",
		long: `The provisioner makes the Secret, Services, ServiceAccount and PetSets of every
Singlestore object and keeps its status, as KubeDB's own does. A paused database
is left alone. Do not run it where KubeDB is installed.`,
		example: "  opsrelay provisioner",
		run: func(ctx context.Context, env environment) error {
			controller, err := provisioner.New(provisioner.Config{Client: env.clients.KubeDB, Kubernetes: env.clients.Core, Namespace: env.namespace})
			if err != nil {
				return err
			}
			env.health.ReadyWhen("watch", controller.HasSynced, "databases are not listed yet")
			return controller.Run(ctx)
		},
	}
}

func petsetService() service {
	return service{
		name: "petset", group: groupKubeDB,
		short: "Run the pods and claims of PetSets, in KubeDB's place",
		long: `The petset controller makes the pods and claims of every PetSet, as KubeDB's own
does. Claims are never resized or deleted. Do not run it where KubeDB is
installed.`,
		example: "  opsrelay petset",
		run: func(ctx context.Context, env environment) error {
			controller, err := petset.New(petset.Config{Client: env.clients.KubeDB, Kubernetes: env.clients.Core, Namespace: env.namespace})
			if err != nil {
				return err
			}
			env.health.ReadyWhen("watch", controller.HasSynced, "PetSets are not listed yet")
			return controller.Run(ctx)
		},
	}
}
