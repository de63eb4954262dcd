// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package updater writes the new sizes where the next volume is made from: into
// the claim templates of the workloads, and into the database object.
//
// It consumes expanded and publishes updated. A PetSet's claim templates may be
// changed in place. A StatefulSet's may not: it is deleted without its pods and
// recreated. A size is only raised, and only where it is smaller: what a user
// raised meanwhile stays.
package updater

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/safely"
)

// The reasons of this service's failures.
const (
	// ReasonWorkloadGone says that the workload was deleted while its request
	// was under way.
	ReasonWorkloadGone = "WorkloadGone"
	// ReasonDatabaseGone says the same of the database object.
	ReasonDatabaseGone = kubedb.ReasonDatabaseGone
	// ReasonWorkloadNotOwned says that a workload turned out to be somebody else's.
	ReasonWorkloadNotOwned = "WorkloadNotOwned"
	// ReasonUpdateRefused says that the API server refuses the new size.
	ReasonUpdateRefused = "UpdateRefused"
	// ReasonRecreateRefused says that a StatefulSet cannot be recreated as it was:
	// it is left as it is, or was replaced by somebody else.
	ReasonRecreateRefused = "RecreateRefused"
	// ReasonWorkloadNotDeleted says that a StatefulSet that is deleted does not go,
	// ReasonNotAdopted that pods do not belong to its successor as they must.
	ReasonWorkloadNotDeleted = "WorkloadNotDeleted"
	ReasonNotAdopted         = "NotAdopted"
)

// Updater is the step of this service.
type Updater struct {
	client *kubedb.Client
	core   kubernetes.Interface
}

// New returns the step. The clients need get and patch on PetSets and databases;
// where workloads are StatefulSets also get, list, watch, create, patch and delete
// on these; get, list, watch, create and delete on ControllerRevisions; list, watch
// and patch on pods, and list and patch on claims.
func New(client *kubedb.Client, core kubernetes.Interface) *Updater {
	return &Updater{client: client, core: core}
}

// Handle answers expanded with updated.
func (u *Updater) Handle(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
	if err := confirm(ctx); err != nil {
		return events.Event{}, err
	}
	op := e.Operation
	// The objects do not depend on each other while the database is paused.
	group, writing := safely.NewGroup(ctx)
	noPetSet := make([]bool, len(op.Components))
	for i, component := range op.Components {
		group.Go(func() error {
			err := u.updatePetSet(writing, op.Database, component)
			if noPetSet[i] = apierrors.IsNotFound(err); noPetSet[i] {
				return nil
			}
			return err
		})
	}
	group.Go(func() error { return u.updateDatabase(writing, op) })
	if err := group.Wait(); err != nil {
		return events.Event{}, err
	}
	// One after the other: of a database's workloads one at most is absent.
	for i, component := range op.Components {
		if noPetSet[i] {
			if err := (&recreation{u, op, component, confirm}).run(ctx); err != nil {
				return events.Event{}, err
			}
		}
	}
	return e.Next(events.Updated), nil
}

// operation is one line of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// updatePetSet raises every claim template of the component's PetSet to the size
// that its volumes have now. That there is none is an error as the API server
// gives it.
func (u *Updater) updatePetSet(ctx context.Context, database events.Reference, component events.Component) error {
	namespace := database.Namespace
	object := "PetSet " + namespace + "/" + component.Workload
	return tillNoConflict(func() error {
		set, err := u.client.PetSets(namespace).Get(ctx, component.Workload, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return err
		}
		if err == nil {
			err = set.Invalid()
		}
		if err != nil {
			return classify(object, ReasonWorkloadGone, err)
		}
		if err := checkOwner(set.Workload(), database); err != nil {
			return err
		}
		// The indices below are those of this very version: a patch that names
		// another is refused as a conflict.
		patch := []operation{{"replace", "/metadata/resourceVersion", set.ResourceVersion}}
		for i, template := range set.Spec.VolumeClaimTemplates {
			size := component.Size(template.Name)
			if smaller, err := isSmaller(template.Spec.Resources.Requests.Storage(), size); err != nil {
				return err
			} else if smaller {
				patch = append(patch, operation{"replace", fmt.Sprintf("/spec/volumeClaimTemplates/%d/spec/resources/requests/storage", i), size})
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
		db, err := u.database(ctx, op.Database)
		if err != nil {
			return err
		}
		if db.DeletionTimestamp != nil {
			return bus.Permanent(events.Failure{Step: "update", Object: object, Reason: kubedb.ReasonDatabaseTerminating,
				Message: "the database is being deleted; the volumes keep their new sizes"})
		}
		patch, err := databasePatch(db, op.Components)
		if err != nil || patch == nil {
			return err
		}
		_, err = u.client.Singlestores(db.Namespace).Patch(ctx, db.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		return classify(object, ReasonDatabaseGone, err)
	})
}

// database reads that very database.
func (u *Updater) database(ctx context.Context, database events.Reference) (*kubedb.Singlestore, error) {
	db, err := u.client.Singlestores(database.Namespace).Get(ctx, database.Name, metav1.GetOptions{})
	if err == nil && string(db.UID) != database.UID {
		err = gone(kubedb.DatabaseGroupVersion.Group, kubedb.ResourceSinglestores, database.Name)
	}
	if err == nil {
		err = db.Invalid()
	}
	return db, classify(database.Kind+" "+database.Namespace+"/"+database.Name, ReasonDatabaseGone, err)
}

// checkOwner fails for a workload that is not the database's: it may have changed
// hands since its volumes grew.
func checkOwner(set *kubedb.Workload, database events.Reference) error {
	err := set.CheckOwner(database.Name, types.UID(database.UID))
	if err == nil {
		return nil
	}
	return bus.Permanent(events.Failure{Step: "update", Object: set.String(), Reason: ReasonWorkloadNotOwned,
		Message: err.Error() + "; it is left alone, the volumes keep their new sizes"})
}

// statefulSet reads the StatefulSet; nil if there is none.
func (u *Updater) statefulSet(ctx context.Context, namespace, name string) (*kubedb.StatefulSet, error) {
	set, err := u.client.StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err == nil {
		err = set.Invalid()
	}
	return set, classify("StatefulSet "+namespace+"/"+name, ReasonWorkloadGone, err)
}

// gone is what the API server says of an object that does not exist.
func gone(group, resource, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Group: group, Resource: resource}, name)
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
