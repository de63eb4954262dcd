// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package expander grows the volumes of a database and waits until that is true.
//
// It consumes paused, and publishes expanded and the progress of each volume. In
// Kubernetes it raises the storage request of persistent volume claims and
// annotates pods; Offline it holds and evicts pods. It writes nothing else.
//
// A volume has grown when its claim's status says that its capacity is at least
// what was requested: no condition, no missing condition and no event counts.
package expander

import (
	"context"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/kubernetes"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/safely"
)

// The reasons of this service's failures, besides the stages that Kubernetes
// names itself (ControllerResizeInfeasible, NodeResizeInfeasible).
const (
	// ReasonWorkloadGone says that the workload was deleted while its request was
	// under way.
	ReasonWorkloadGone = "WorkloadGone"
	// ReasonExpansionRefused says that the API server refuses the larger claim.
	ReasonExpansionRefused = "ExpansionRefused"
	// ReasonQuotaExceeded says that a quota had no room for the larger claims until
	// the deadline.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonOfflineOnly says that the storage driver does not expand a volume that
	// is in use, ReasonDriverRefused that it refuses for another reason.
	ReasonOfflineOnly   = "OfflineOnly"
	ReasonDriverRefused = "DriverRefused"
	// ReasonHoldRefused says that the API server does not let a pod be held,
	// ReasonNamespaceTerminating that the pods of a namespace are not made again.
	ReasonHoldRefused          = "HoldRefused"
	ReasonNamespaceTerminating = "NamespaceTerminating"
	// ReasonNotGrown says that volumes had not grown by the step's deadline.
	ReasonNotGrown = "DeadlineExceeded"
	// ReasonClaimTerminating says that a claim was deleted while it should grow,
	// ReasonClaimLost that it has lost its volume.
	ReasonClaimTerminating = "ClaimTerminating"
	ReasonClaimLost        = "ClaimLost"
	// ReasonModeNotSupported says that this version does not know the mode.
	ReasonModeNotSupported = "ModeNotSupported"
)

// Expander is the step of this service.
type Expander struct {
	client    *kubedb.Client
	core      kubernetes.Interface
	claims    *Claims
	workloads *Workloads
	progress  Progress
	places    places
}

// Progress publishes how far one volume has come. It may drop what it cannot
// deliver.
type Progress func(ctx context.Context, key events.ChainKey, p events.Progress)

// New returns the step. The clients need get on PetSets and StatefulSets, get and patch on claims,
// list and patch on pods; Offline also get on namespaces, watch on pods, list and watch
// on disruption budgets, volume attachments and databases, and create on evictions.
// claims and workloads must be running.
func New(client *kubedb.Client, core kubernetes.Interface, claims *Claims, workloads *Workloads, progress Progress) *Expander {
	return &Expander{client: client, core: core, claims: claims, workloads: workloads, progress: progress}
}

// LimitPerClass bounds how many volumes of one StorageClass grow at once in mode
// Online, in this process; 0 means that there is no bound. It is to be called
// before anything is handled.
func (x *Expander) LimitPerClass(volumes int) { x.places.bound = volumes }

// Handle answers paused with expanded.
func (x *Expander) Handle(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
	if mode := e.Operation.Mode; !mode.Known() {
		database := e.Operation.Database
		return events.Event{}, bus.Permanent(events.Failure{
			Step: "expand", Object: database.Kind + " " + database.Namespace + "/" + database.Name, Reason: ReasonModeNotSupported,
			Message: fmt.Sprintf("this expander does not know the mode %q, and does not guess: update it, or ask again with %s or %s", mode, events.Online, events.Offline),
		})
	}
	if err := confirm(ctx); err != nil {
		return events.Event{}, err
	}
	components := slices.Clone(e.Operation.Components)
	grow := x.growOnline
	if e.Operation.Mode == events.Offline {
		grow = x.growOffline
	}
	refused, err := grow(ctx, e, components)
	e.Operation.Components = components
	if err != nil {
		return events.Event{}, x.explain(ctx, e.Operation, err)
	}
	next := e.Next(events.Expanded)
	if claims := slices.Sorted(maps.Keys(refused)); len(claims) > 0 {
		failure := refused[claims[0]]
		failure.Message += x.volumes(e.Operation)
		next.Operation.Failure = &failure
	}
	return next, nil
}

// growOnline grows the components side by side, while their pods run. refused says
// why claims have not grown of a request that recovers.
func (x *Expander) growOnline(ctx context.Context, e events.Event, components []events.Component) (refused map[string]events.Failure, err error) {
	runs := make([]*growth, len(components))
	for i, component := range components {
		size, err := resource.ParseQuantity(component.To)
		if err != nil {
			return nil, fmt.Errorf("size of %s: %w", component.Name, err)
		}
		runs[i] = newGrowth(x, e, component, size)
	}
	err = sideBySide(ctx, len(runs), func(ctx context.Context, i int) error { return runs[i].grow(ctx, &components[i]) })
	refused = map[string]events.Failure{}
	for _, run := range runs {
		maps.Copy(refused, run.refused)
	}
	return refused, err
}

// sideBySide calls do for each of n, until one fails. One alone is done here: most
// requests have one component, and a thousand that wait need half of the stacks.
func sideBySide(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	if n == 1 {
		return do(ctx, 0)
	}
	group, ctx := safely.NewGroup(ctx)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// grow returns once all the component's volumes have the requested capacity, or
// will not have it in a request that recovers. The component lists them as they
// are then, or when it gives up.
func (g *growth) grow(ctx context.Context, component *events.Component) error {
	defer func() { component.Volumes = g.volumes() }()
	scaled, stop := g.workloads.subscribe(g.namespace, component.Workload)
	defer stop()
	g.names = g.workloads.claimNames(g.namespace, component.Workload)
	for {
		done, err := g.wait(ctx, scaled)
		if err != nil {
			return err
		}
		// The view may lag behind, and the workload may be scaled meanwhile: what is
		// true when all are done counts.
		set, err := g.workload(ctx, g.namespace, component.Workload)
		if err != nil {
			return err
		}
		names := set.ClaimNames()
		if done && slices.Equal(g.names, names) {
			return g.report(ctx, component, set)
		}
		g.names = names
	}
}

// report tells in the component what became of it, besides its volumes.
func (g *growth) report(ctx context.Context, component *events.Component, set *kubedb.Workload) (err error) {
	maps.DeleteFunc(g.refused, func(claim string, _ events.Failure) bool { return !slices.Contains(g.names, claim) })
	component.Shared = g.shared(set.ClaimTemplates)
	component.Missing = g.missing()
	component.Leftover, err = g.tendLeftovers(ctx, set)
	return err
}

func (x *Expander) workload(ctx context.Context, namespace, name string) (*kubedb.Workload, error) {
	set, err := x.client.Workload(ctx, namespace, name)
	if apierrors.IsNotFound(err) {
		return nil, bus.Permanent(events.Failure{
			Step: "expand", Object: "Workload " + namespace + "/" + name, Reason: ReasonWorkloadGone,
			Message: "the workload was deleted while its volumes grew",
		})
	}
	if err == nil {
		err = set.Invalid()
	}
	if err != nil {
		return nil, fmt.Errorf("expand workload %s/%s: %w", namespace, name, err)
	}
	x.workloads.follow(set.Kind)
	return set, nil
}
