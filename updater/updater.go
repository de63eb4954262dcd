// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package updater writes the new sizes where the next volume is made from: into
// the claim templates of the workloads, and into the database object.
//
// It consumes expanded and publishes updated. A PetSet's claim templates may be
// changed in place, so no workload is ever deleted. A size is only raised, and
// only where it is smaller: what a user raised meanwhile stays.
package updater

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// The reasons of this service's failures.
const (
	// ReasonWorkloadGone says that the workload was deleted while its request
	// was under way.
	ReasonWorkloadGone = "WorkloadGone"
	// ReasonDatabaseGone says the same of the database object.
	ReasonDatabaseGone = "DatabaseGone"
	// ReasonUpdateRefused says that the API server refuses the new size.
	ReasonUpdateRefused = "UpdateRefused"
)

// Updater is the step of this service.
type Updater struct {
	client *kubedb.Client
}

// New returns the step. The client needs get and patch on PetSets and
// databases.
func New(client *kubedb.Client) *Updater { return &Updater{client: client} }

// Handle answers expanded with updated.
func (u *Updater) Handle(ctx context.Context, e events.Event) (events.Event, error) {
	op := e.Operation
	// The objects do not depend on each other while the database is paused.
	group, ctx := errgroup.WithContext(ctx)
	for _, component := range op.Components {
		group.Go(func() error { return u.updateWorkload(ctx, op.Database.Namespace, component) })
	}
	group.Go(func() error { return u.updateDatabase(ctx, op) })
	if err := group.Wait(); err != nil {
		return events.Event{}, err
	}
	return e.Next(events.Updated), nil
}

// operation is one line of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// updateWorkload raises every claim template of the component's PetSet to the
// new size.
func (u *Updater) updateWorkload(ctx context.Context, namespace string, component events.Component) error {
	object := "PetSet " + namespace + "/" + component.Workload
	return tillNoConflict(func() error {
		set, err := u.client.PetSets(namespace).Get(ctx, component.Workload, metav1.GetOptions{})
		if err == nil {
			err = set.Invalid()
		}
		if err != nil {
			return classify(object, ReasonWorkloadGone, err)
		}
		// The indices below are those of this very version: a patch that names
		// another is refused as a conflict.
		patch := []operation{{"replace", "/metadata/resourceVersion", set.ResourceVersion}}
		for i, template := range set.Spec.VolumeClaimTemplates {
			if smaller, err := isSmaller(template.Spec.Resources.Requests.Storage(), component.To); err != nil {
				return err
			} else if smaller {
				patch = append(patch, operation{"replace", fmt.Sprintf("/spec/volumeClaimTemplates/%d/spec/resources/requests/storage", i), component.To})
			}
		}
		if len(patch) == 1 {
			return nil
		}
		data, err := json.Marshal(patch)
		if err != nil {
			return fmt.Errorf("update %s: %w", object, err)
		}
		_, err = u.client.PetSets(namespace).Patch(ctx, set.Name, types.JSONPatchType, data, metav1.PatchOptions{})
		return classify(object, ReasonWorkloadGone, err)
	})
}

// updateDatabase raises the storage requests in the database object, and
// touches nothing else of it.
func (u *Updater) updateDatabase(ctx context.Context, op events.Operation) error {
	object := op.Database.Kind + " " + op.Database.Namespace + "/" + op.Database.Name
	return tillNoConflict(func() error {
		db, err := u.client.Singlestores(op.Database.Namespace).Get(ctx, op.Database.Name, metav1.GetOptions{})
		if err == nil && string(db.UID) != op.Database.UID {
			err = apierrors.NewNotFound(schema.GroupResource{Group: kubedb.DatabaseGroupVersion.Group, Resource: kubedb.ResourceSinglestores}, op.Database.Name)
		}
		if err == nil {
			err = db.Invalid()
		}
		if err != nil {
			return classify(object, ReasonDatabaseGone, err)
		}
		patch, err := databasePatch(db, op.Components)
		if err != nil || patch == nil {
			return err
		}
		_, err = u.client.Singlestores(db.Namespace).Patch(ctx, db.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		return classify(object, ReasonDatabaseGone, err)
	})
}

// databasePatch is a merge patch of the storage requests that are smaller than
// the new sizes, refused by the API server if the database was changed since it
// was read. It is nil when there is nothing to raise.
func databasePatch(db *kubedb.Singlestore, components []events.Component) ([]byte, error) {
	patch := map[string]any{"metadata": map[string]any{"resourceVersion": db.ResourceVersion}}
	for _, target := range components {
		component, ok := db.Component(target.Name)
		if !ok || component.Size() == nil {
			continue
		}
		smaller, err := isSmaller(component.Size(), target.To)
		if err != nil {
			return nil, err
		}
		if smaller {
			set(patch, target.To, append(component.StoragePath, "resources", "requests", "storage")...)
		}
	}
	if len(patch) == 1 {
		return nil, nil
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("update Singlestore %s/%s: %w", db.Namespace, db.Name, err)
	}
	return data, nil
}

// set puts the value at the path into the tree.
func set(tree map[string]any, value any, path ...string) {
	for _, name := range path[:len(path)-1] {
		child, ok := tree[name].(map[string]any)
		if !ok {
			child = map[string]any{}
			tree[name] = child
		}
		tree = child
	}
	tree[path[len(path)-1]] = value
}

// isSmaller reports whether the current size is below the new one.
func isSmaller(current *resource.Quantity, to string) (bool, error) {
	size, err := resource.ParseQuantity(to)
	if err != nil {
		return false, fmt.Errorf("size %q: %w", to, err)
	}
	return current.Cmp(size) < 0, nil
}

// tillNoConflict repeats a read-and-write until nobody else wrote in between.
func tillNoConflict(write func() error) error {
	for {
		if err := write(); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// classify tells what another try can mend from what it cannot. Conflicts and a
// nil error come back as they are.
func classify(object, goneReason string, err error) error {
	switch {
	case err == nil, apierrors.IsConflict(err):
		return err
	case apierrors.IsNotFound(err):
		return bus.Permanent(events.Failure{Step: "update", Object: object, Reason: goneReason,
			Message: "it was deleted after the volumes had grown; the volumes keep their new sizes"})
	case apierrors.IsInvalid(err):
		return bus.Permanent(events.Failure{Step: "update", Object: object, Reason: ReasonUpdateRefused,
			Message: err.Error() + "; the volumes keep their new sizes"})
	default:
		return fmt.Errorf("update %s: %w", object, err)
	}
}
