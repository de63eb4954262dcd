// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rs/zerolog"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// A StatefulSet's claim templates cannot be changed, so it is deleted without its
// pods and made anew, as it was but for the sizes. What comes next follows from
// the StatefulSet and the database's intent, however far somebody came before:
//
//	StatefulSet          intent
//	too small            none       try whether it could be made anew; record the intent
//	too small            its own    mark it, see that it owns its pods and no claim, delete it
//	being deleted        its own    wait
//	gone                 there      create
//	another              there      wait until it owns the pods; remove the intent
//	large enough         none       done
//	gone, being deleted  none       somebody else's doing: fail

// recreation is the renewal of one component's StatefulSet.
type recreation struct {
	*Updater
	op        events.Operation
	component events.Component
	confirm   bus.Confirm
}

// run takes one step after the other until the StatefulSet has the sizes.
func (r *recreation) run(ctx context.Context) error {
	for {
		done, err := r.step(ctx)
		if apierrors.IsConflict(err) {
			continue // somebody wrote in between
		}
		if done || err != nil {
			return err
		}
	}
}

func (r *recreation) step(ctx context.Context) (done bool, err error) {
	db, err := r.database(ctx, r.op.Database)
	if err != nil {
		return false, err
	}
	intent, err := intentOf(db)
	if err != nil {
		return false, err
	}
	set, err := r.statefulSet(ctx, r.op.Database.Namespace, r.component.Workload)
	switch {
	case err != nil:
		return false, err
	case intent != nil && intent.Name != r.component.Workload:
		return false, r.finish(ctx, db, intent) // another component's, of an earlier request
	case intent == nil && (set == nil || set.DeletionTimestamp != nil):
		return false, classify("Workload "+r.op.Database.Namespace+"/"+r.component.Workload, ReasonWorkloadGone,
			gone(appsv1.GroupName, kubedb.ResourceStatefulSets, r.component.Workload))
	case intent != nil && (set == nil || set.DeletionTimestamp != nil || set.UID != intent.UID):
		return false, r.finish(ctx, db, intent)
	}
	next, err := successor(set, intent, r.component)
	switch {
	case err != nil:
		return false, err
	case next == nil && intent == nil:
		return true, nil
	case next == nil:
		return false, r.undo(ctx, db, set, intent)
	case intent == nil || !same(next, intent):
		return false, r.prepare(ctx, db, set, next)
	default:
		return false, r.remove(ctx, set)
	}
}

// prepare records the intent, after the API server said that it would create it.
func (r *recreation) prepare(ctx context.Context, db *kubedb.Singlestore, set, next *kubedb.StatefulSet) error {
	if update := set.Spec.UpdateStrategy.RollingUpdate; update != nil && update.Partition != nil && *update.Partition > 0 &&
		set.Status.CurrentRevision != set.Status.UpdateRevision {
		return r.refused(set, "its rollout is held by a partition, which making it anew would forget: finish the rollout and ask again")
	}
	if err := r.rehearse(ctx, next); err != nil {
		return err
	}
	return r.record(ctx, db, next, r.op.Request.UID)
}

// remove deletes the StatefulSet and not its pods.
func (r *recreation) remove(ctx context.Context, set *kubedb.StatefulSet) error {
	if set.Annotations[Intent] != r.op.Request.UID {
		return r.mark(ctx, set, r.op.Request.UID, retain(set.Spec.PersistentVolumeClaimRetentionPolicy))
	}
	if err := r.late(ctx, set, r.released(ctx, set)); err != nil {
		return err
	}
	if err := r.late(ctx, set, r.adopted(ctx, set)); err != nil {
		return err
	}
	// Whoever ended the request since has changed the StatefulSet: see Release.
	if err := r.confirm(ctx); err != nil {
		return err
	}
	orphan := metav1.DeletePropagationOrphan
	err := r.client.StatefulSets(set.Namespace).Delete(ctx, set.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &set.UID, ResourceVersion: &set.ResourceVersion}, PropagationPolicy: &orphan,
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		zerolog.Ctx(ctx).Info().Str("statefulset", set.Namespace+"/"+set.Name).Msg("deleted without its pods, to be made anew")
	}
	return classify("StatefulSet "+set.Namespace+"/"+set.Name, ReasonWorkloadGone, err)
}

// finish takes the next step of an intent whose StatefulSet is deleted: whoever
// comes by may do so.
func (u *Updater) finish(ctx context.Context, db *kubedb.Singlestore, intent *kubedb.StatefulSet) error {
	set, err := u.statefulSet(ctx, intent.Namespace, intent.Name)
	switch {
	case err != nil:
		return err
	case set == nil:
		return u.create(ctx, intent)
	case set.UID == intent.UID && set.DeletionTimestamp == nil:
		return u.undo(ctx, db, set, intent)
	case set.DeletionTimestamp != nil:
		err := u.client.WaitStatefulSet(ctx, set.Namespace, set.Name, func(is *kubedb.StatefulSet) bool {
			return is == nil || is.UID != set.UID
		})
		return u.late(ctx, set, err)
	case !sameKind(set, intent):
		if err := u.record(ctx, db, nil, ""); err != nil {
			return err
		}
		return u.refused(set, "while it was made anew somebody else created another one of that name, which is left alone")
	}
	if err := u.late(ctx, set, u.adopted(ctx, set)); err != nil {
		return err
	}
	return u.record(ctx, db, nil, "")
}

// create makes the successor. Finding one there is no error: it is looked at.
func (u *Updater) create(ctx context.Context, intent *kubedb.StatefulSet) error {
	next := intent.DeepCopy()
	next.UID = ""
	_, err := u.client.StatefulSets(next.Namespace).Create(ctx, next, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil
	case err == nil:
		zerolog.Ctx(ctx).Info().Str("statefulset", next.Namespace+"/"+next.Name).Msg("made anew")
		return nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		// It was possible a moment ago, and may be again.
		return &bus.Hindrance{Failure: refusal(next, err.Error()+"; it is created as soon as that is allowed"), Err: err}
	default:
		return fmt.Errorf("create StatefulSet %s/%s: %w", next.Namespace, next.Name, err)
	}
}

// undo takes back an intent whose StatefulSet was not deleted.
func (u *Updater) undo(ctx context.Context, db *kubedb.Singlestore, set, intent *kubedb.StatefulSet) error {
	if _, marked := set.Annotations[Intent]; marked {
		if err := u.mark(ctx, set, "", intent.Spec.PersistentVolumeClaimRetentionPolicy); err != nil {
			return err
		}
	}
	return u.record(ctx, db, nil, "")
}

// late makes a deadline that passed while the StatefulSet was waited for a failure
// that says so.
func (u *Updater) late(ctx context.Context, set *kubedb.StatefulSet, err error) error {
	if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	failure := refusal(set, "it was deleted without its pods and does not go: finalizers "+strings.Join(set.Finalizers, ", ")+
		"; it is made anew when it is gone")
	failure.Reason = ReasonWorkloadNotDeleted
	if set.DeletionTimestamp == nil {
		failure.Reason, failure.Message = ReasonNotAdopted, "its pods and claims do not all belong to it as they must: does its controller run?"
	}
	return bus.Permanent(failure)
}
