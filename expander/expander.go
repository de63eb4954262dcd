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
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// The reasons of this service's failures, besides the stages that Kubernetes
// names itself (ControllerResizeInfeasible, NodeResizeInfeasible).
const (
	// ReasonWorkloadGone says that the PetSet was deleted while its request was
	// under way.
	ReasonWorkloadGone = "WorkloadGone"
	// ReasonExpansionRefused says that the API server refuses the larger claim.
	ReasonExpansionRefused = "ExpansionRefused"
	// ReasonOfflineOnly says that the storage driver does not expand a volume that
	// is in use.
	ReasonOfflineOnly = "OfflineOnly"
	// ReasonNotGrown says that volumes had not grown by the step's deadline.
	ReasonNotGrown = "DeadlineExceeded"
	// ReasonClaimTerminating says that a claim was deleted while it should grow,
	// ReasonClaimLost that it has lost its volume.
	ReasonClaimTerminating = "ClaimTerminating"
	ReasonClaimLost        = "ClaimLost"
)

// Expander is the step of this service.
type Expander struct {
	client   *kubedb.Client
	core     kubernetes.Interface
	claims   *Claims
	progress Progress
	places   places
}

// Progress publishes how far one volume has come. It may drop what it cannot
// deliver.
type Progress func(ctx context.Context, key events.ChainKey, p events.Progress)

// New returns the step. The clients need get on PetSets, get and patch on claims,
// patch on pods; Offline also list and watch on pods, disruption budgets, volume
// attachments and databases, and create on evictions. claims must be running.
func New(client *kubedb.Client, core kubernetes.Interface, claims *Claims, progress Progress) *Expander {
	return &Expander{client: client, core: core, claims: claims, progress: progress}
}

// LimitPerClass bounds how many volumes of one StorageClass grow at once in mode
// Online, in this process; 0 means that there is no bound. It is to be called
// before anything is handled.
func (x *Expander) LimitPerClass(volumes int) { x.places.bound = volumes }

// Handle answers paused with expanded.
func (x *Expander) Handle(ctx context.Context, e events.Event) (events.Event, error) {
	components := slices.Clone(e.Operation.Components)
	var err error
	if e.Operation.Mode == events.Offline {
		err = x.growOffline(ctx, e, components)
	} else {
		err = x.growOnline(ctx, e, components)
	}
	e.Operation.Components = components
	if err != nil {
		return events.Event{}, x.explain(ctx, e.Operation, err)
	}
	return e.Next(events.Expanded), nil
}

// growOnline grows the components side by side, while their pods run.
func (x *Expander) growOnline(ctx context.Context, e events.Event, components []events.Component) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range components {
		group.Go(func() (err error) {
			components[i].Volumes, err = x.grow(ctx, e, components[i])
			return err
		})
	}
	return group.Wait()
}

// grow returns the component's volumes once all of them have the requested
// capacity, or as they are when it gives up.
func (x *Expander) grow(ctx context.Context, e events.Event, component events.Component) ([]events.Volume, error) {
	size, err := resource.ParseQuantity(component.To)
	if err != nil {
		return nil, fmt.Errorf("size of %s: %w", component.Name, err)
	}
	run := newGrowth(x, e, component, size)
	for {
		set, err := x.workload(ctx, run.namespace, component.Workload)
		if err != nil {
			return run.volumes(), err
		}
		run.names = set.ClaimNames()
		if err := run.wait(ctx); err != nil {
			return run.volumes(), err
		}
		// The workload may have been scaled meanwhile: what is true now counts.
		if set, err = x.workload(ctx, run.namespace, component.Workload); err != nil {
			return run.volumes(), err
		}
		if slices.Equal(run.names, set.ClaimNames()) {
			return run.volumes(), nil
		}
	}
}

func (x *Expander) workload(ctx context.Context, namespace, name string) (*kubedb.PetSet, error) {
	set, err := x.client.PetSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, bus.Permanent(events.Failure{
			Step: "expand", Object: "PetSet " + namespace + "/" + name, Reason: ReasonWorkloadGone,
			Message: "the workload was deleted while its volumes grew",
		})
	}
	if err == nil {
		err = set.Invalid()
	}
	if err != nil {
		return nil, fmt.Errorf("expand PetSet %s/%s: %w", namespace, name, err)
	}
	return set, nil
}

// explain adds to a failure what a person needs who has to act on it: the size
// that every volume has now. A context that ended because the chain did, or the
// process, is nobody's failure and comes back as it is.
func (x *Expander) explain(ctx context.Context, op events.Operation, err error) error {
	var failure *events.Failure
	switch {
	case errors.As(err, &failure):
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		failure = &events.Failure{
			Step: "expand", Object: object(op), Reason: ReasonNotGrown,
			Message: fmt.Sprintf("not every volume had grown within %s", op.StepTimeout.Duration()),
		}
	default:
		return err
	}
	explained := *failure
	explained.Message += "; volumes: " + x.describe(op)
	return bus.Permanent(explained)
}

// told is how many volumes a failure lists: it stands in the request's status,
// which must stay small.
const told = 20

// describe lists the volumes with their size, their goal and what they wait for,
// those first that are too small.
func (x *Expander) describe(op events.Operation) string {
	var small, grown []string
	for _, component := range op.Components {
		for _, volume := range component.Volumes {
			line := fmt.Sprintf("%s %s of %s", volume.Claim, volume.Capacity, component.To)
			claim := x.claims.get(op.Database.Namespace, volume.Claim)
			if claim == nil {
				small = append(small, line)
				continue
			}
			stage := stageOf(claim, resource.MustParse(component.To))
			line += " (" + stage.String() + ")"
			if stage.name == events.StateGrown {
				grown = append(grown, line)
			} else {
				small = append(small, line)
			}
		}
	}
	lines := slices.Concat(small, grown)
	if more := len(lines) - told; more > 0 {
		lines = append(lines[:told], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, ", ")
}

func object(op events.Operation) string {
	return op.Database.Kind + " " + op.Database.Namespace + "/" + op.Database.Name
}
