// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// writeStatus patches the status if it says something new. The resourceVersion in the patch makes it fail if anybody
// else, such as the pauser, wrote in between; then the event of that write brings the database here again.
func (c *Controller) writeStatus(ctx context.Context, db *kubedb.Singlestore) error {
	sets, err := c.petSetsOf(db)
	if err != nil {
		return err
	}
	status := newStatus(db, sets)
	if equality.Semantic.DeepEqual(db.Status, status) {
		return nil
	}
	before, changed := db.DeepCopy(), db.DeepCopy()
	before.ResourceVersion = "" // so that the patch names the version that it is for
	changed.Status = status
	patch, err := kubedb.MergePatch(before, changed)
	if err != nil {
		return err
	}
	_, err = c.cfg.Client.Singlestores(db.Namespace).Patch(ctx, db.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("patch status of database %s: %w", db.Name, err)
	}
	if changed.Status.Phase != db.Status.Phase {
		zerolog.Ctx(ctx).Info().Str("namespace", db.Namespace).Str("database", db.Name).
			Str("from", string(db.Status.Phase)).Str("to", string(changed.Status.Phase)).Msg("phase changed")
	}
	return nil
}

// petSetsOf lists the database's PetSets that are there, in the order of its components. One of that name that is
// somebody else's does not count.
func (c *Controller) petSetsOf(db *kubedb.Singlestore) ([]*kubedb.PetSet, error) {
	var sets []*kubedb.PetSet
	for _, component := range db.Components() {
		cached, exists, err := c.petSets.GetByKey(db.Namespace + "/" + component.Workload)
		if err != nil {
			return nil, err
		}
		if !exists {
			continue
		}
		set := cached.(*kubedb.PetSet)
		if set.DeletionTimestamp == nil && set.Workload().CheckOwner(db.Name, db.UID) == nil {
			sets = append(sets, set)
		}
	}
	return sets, nil
}

// newStatus is the status of a database with these PetSets. A paused database keeps its observed generation.
func newStatus(db *kubedb.Singlestore, sets []*kubedb.PetSet) kubedb.SinglestoreStatus {
	status := *db.Status.DeepCopy()
	if !kubedb.IsPaused(db) {
		status.ObservedGeneration = db.Generation
	}
	conditions := []kubedb.Condition{startedCondition(db), replicaCondition(db, sets), connectionCondition(db, sets)}
	ready := readyCondition(db, conditions)
	conditions = append(conditions, ready)
	if ready.Status == metav1.ConditionTrue {
		conditions = append(conditions, provisionedCondition(db))
	}
	for _, condition := range conditions {
		if kubedb.IsPaused(db) {
			condition.ObservedGeneration = observed(db, condition.Type)
		}
		status.Conditions = kubedb.SetCondition(status.Conditions, condition)
	}
	status.Phase = kubedb.PhaseFromConditions(status.Conditions)
	return status
}

// observed is the generation that the database's condition is about now; that of its status if there is none yet.
func observed(db *kubedb.Singlestore, conditionType string) int64 {
	if is := kubedb.FindCondition(db.Status.Conditions, conditionType); is != nil {
		return is.ObservedGeneration
	}
	return db.Status.ObservedGeneration
}
