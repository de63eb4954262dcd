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
	"k8s.io/apimachinery/pkg/types"
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
	// ReasonWorkloadNotOwned and ReasonClaimNotOwned say that a workload or a claim
	// turned out to be somebody else's.
	ReasonWorkloadNotOwned = "WorkloadNotOwned"
	ReasonClaimNotOwned    = "ClaimNotOwned"
	// ReasonNoVolumes says that a workload has no volume, so that none can grow.
	ReasonNoVolumes = "NoVolumes"
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
	// The view spares a read. Where it says that nothing is to be done, it may be
	// behind.
	if seen := g.workloads.get(g.namespace, component.Workload); seen != nil && g.unfit(seen) == nil {
		g.use(seen)
	}
	for {
		done, err := g.wait(ctx, scaled)
		if err != nil {
			return err
		}
		// The view may lag behind, and the workload may be scaled meanwhile: what is
		// true when all are done counts.
		names := g.names
		if err := g.readWorkload(ctx); err != nil {
			return err
		}
		if done && slices.Equal(names, g.names) {
			return g.report(ctx, component)
		}
	}
}

// report tells in the component what became of it, besides its volumes.
func (g *growth) report(ctx context.Context, component *events.Component) (err error) {
	maps.DeleteFunc(g.refused, func(claim string, _ events.Failure) bool { return !slices.Contains(g.names, claim) })
	component.Shared = g.shared(g.set.ClaimTemplates)
	component.Missing = g.missing()
	if len(component.Missing) == len(g.names) {
		return g.notThere(ReasonNoVolumes, "it has no volumes any more; ask again when there are some")
	}
	component.Leftover, err = g.tendLeftovers(ctx)
	return err
}

// readWorkload reads the workload whose volumes grow, and refuses one that is not
// the database's or has no volumes here.
func (g *growth) readWorkload(ctx context.Context) error {
	set, err := g.client.Workload(ctx, g.namespace, g.component.Workload)
	if apierrors.IsNotFound(err) {
		return g.workloadGone(ctx)
	}
	if err == nil {
		err = set.Invalid()
	}
	if err != nil {
		return fmt.Errorf("expand workload %s/%s: %w", g.namespace, g.component.Workload, err)
	}
	if err := g.unfit(set); err != nil {
		return err
	}
	g.workloads.follow(set.Kind)
	g.use(set)
	return nil
}

// workloadGone is the failure of a workload that was deleted, which follows where its
// database was: then that is the reason.
func (g *growth) workloadGone(ctx context.Context) error {
	database, gone := g.event.Operation.Database, false
	err := g.client.WaitSinglestore(ctx, database.Namespace, database.Name, func(db *kubedb.Singlestore) bool {
		gone = db == nil || string(db.UID) != database.UID || db.DeletionTimestamp != nil
		return true
	})
	switch {
	case err != nil:
		return fmt.Errorf("expand workload %s/%s, which is gone: %w", g.namespace, g.component.Workload, err)
	case gone:
		return g.notThere(kubedb.ReasonDatabaseGone, "the database was deleted while its volumes grew; create a new request if there is a new database")
	default:
		return g.notThere(ReasonWorkloadGone, "the workload was deleted while its volumes grew")
	}
}

// use has the volumes grown that the workload has now.
func (g *growth) use(set *kubedb.Workload) { g.set, g.names = set, set.ClaimNames() }

// unfit is why the volumes of the workload are none that may or can grow; nil if
// they are. The plan has looked at the same, and the workload may have changed
// hands since.
func (g *growth) unfit(set *kubedb.Workload) error {
	database := g.event.Operation.Database
	if err := set.CheckOwner(database.Name, types.UID(database.UID)); err != nil {
		return g.notThere(ReasonWorkloadNotOwned, err.Error()+"; it is left alone")
	}
	if err := set.CheckVolumes(); err != nil {
		return g.notThere(ReasonNoVolumes, err.Error())
	}
	return nil
}

// notThere is the failure of a workload without the volumes that were to grow.
func (g *growth) notThere(reason, message string) error {
	return bus.Permanent(events.Failure{
		Step: "expand", Object: "Workload " + g.namespace + "/" + g.component.Workload, Reason: reason, Message: message,
	})
}
