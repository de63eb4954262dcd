// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// A StatefulSet's claim templates cannot be changed, so it is deleted without its
// pods and recreated, as it was but for the sizes. What comes next follows from
// the StatefulSet and its intent, however far somebody came before:
//
//	StatefulSet          intent
//	too small            none       try whether it could be recreated; mark it
//	too small, marked    none       store the intent
//	too small, marked    its own    delete it without its pods
//	being deleted        its own    wait until our finalizer alone keeps it; let its pods and
//	                                claims go; store its last state; take the finalizer off
//	gone                 there      create
//	another              there      put the managed fields back; wait until it owns the pods;
//	                                delete the intent
//	large enough         none       done
//	gone, being deleted  none       somebody else's doing: fail
//
// Up to the deletion only the step itself goes on, and whoever ends the request
// takes the mark off, which makes the deletion a conflict. From the deletion on
// there is one way only, and whoever comes by goes it: this step, a redelivery, a
// Release, the [Sweeper]. Each write is on condition that nothing was written since
// it was decided.

// recreation is the renewal of one component's StatefulSet for a request.
type recreation struct {
	*Updater
	op        events.Operation
	component events.Component
	confirm   bus.Confirm
}

// run takes one step after the other until the StatefulSet has the sizes.
func (r *recreation) run(ctx context.Context) error {
	key := types.NamespacedName{Namespace: r.op.Database.Namespace, Name: r.component.Workload}
	for {
		done, err := r.step(ctx, key)
		if apierrors.IsConflict(err) {
			continue // somebody wrote in between
		}
		if held := new(heldError); errors.As(err, &held) {
			err = late(ctx, held.failure, held.wait(ctx))
		}
		if done || err != nil {
			return err
		}
	}
}

func (r *recreation) step(ctx context.Context, key types.NamespacedName) (done bool, err error) {
	set, is, err := r.look(ctx, key)
	switch {
	case err != nil:
		return false, err
	case set != nil && set.DeletionTimestamp == nil && (is == nil || is.isOf(set)):
		return r.begin(ctx, set, is)
	case is == nil && (set == nil || !isHeld(set)):
		return false, classify("Workload "+key.String(), ReasonWorkloadGone, gone(appsv1.GroupName, kubedb.ResourceStatefulSets, key.Name))
	default:
		return false, r.carryOn(ctx, set, is)
	}
}

// look reads the StatefulSet and its intent; nil is what there is not.
func (u *Updater) look(ctx context.Context, key types.NamespacedName) (*kubedb.StatefulSet, *intent, error) {
	set, err := u.statefulSet(ctx, key.Namespace, key.Name)
	if err != nil {
		return nil, nil, err
	}
	is, err := u.intent(ctx, key)
	return set, is, err
}

// begin takes the next step towards deleting a StatefulSet.
func (r *recreation) begin(ctx context.Context, set *kubedb.StatefulSet, is *intent) (done bool, err error) {
	if err := checkOwner(set.Workload(), r.op.Database); err != nil {
		return false, err
	}
	sizes, err := tooSmall(set, r.component)
	switch {
	case err != nil:
		return false, err
	case len(sizes) == 0 && is == nil && !isTouched(set):
		return true, nil
	case len(sizes) == 0:
		return false, r.undo(ctx, set, is)
	}
	m, err := markFor(set, r.op.Request, sizes)
	if err != nil {
		return false, err
	}
	next, err := successor(set, m)
	if err != nil {
		return false, err
	}
	if !isMarked(set, m) {
		if err := r.possible(ctx, set, next); err != nil {
			return false, err
		}
		return false, r.putOn(ctx, set, m)
	}
	db, err := r.database(ctx, r.op.Database)
	switch {
	case err != nil:
		return false, err
	case !is.says(next):
		err := r.store(ctx, db, is, next, m)
		if err != nil && isTooLarge(err) {
			return false, r.refused(set, err.Error())
		}
		return false, err
	}
	if err := is.check(db); err != nil {
		return false, r.refused(set, err.Error())
	}
	return false, r.remove(ctx, set)
}

// possible returns why the StatefulSet cannot be recreated as it is, or nil: then
// the API server says that it would create it.
func (r *recreation) possible(ctx context.Context, set, next *kubedb.StatefulSet) error {
	if !isControlledBy(set.OwnerReferences, types.UID(r.op.Database.UID)) {
		return r.refused(set, "its controller owner reference does not name "+r.op.Database.Kind+" "+r.op.Database.Name+", so that it may be somebody else's")
	}
	if update := set.Spec.UpdateStrategy.RollingUpdate; update != nil && update.Partition != nil && *update.Partition > 0 &&
		set.Status.CurrentRevision != set.Status.UpdateRevision {
		return r.refused(set, "its rollout is held by a partition, which recreating it would forget: finish the rollout and ask again")
	}
	return r.rehearse(ctx, next)
}

// remove deletes the StatefulSet and not its pods.
func (r *recreation) remove(ctx context.Context, set *kubedb.StatefulSet) error {
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
		zerolog.Ctx(ctx).Info().Str("statefulset", set.Namespace+"/"+set.Name).Msg("deleted without its pods, to be recreated")
	}
	return classify(nameOf(set), ReasonWorkloadGone, err)
}

// carryOn takes the next step of a recreation whose StatefulSet is being deleted,
// is gone or has a successor. A [*heldError] says that somebody else has to do
// something first.
func (u *Updater) carryOn(ctx context.Context, set *kubedb.StatefulSet, is *intent) error {
	switch {
	case set == nil:
		return u.create(ctx, is)
	case set.DeletionTimestamp == nil:
		return u.settle(ctx, set, is)
	case is != nil && !is.isOf(set) && !isHeld(set):
		return u.drop(ctx, is) // somebody deletes the successor
	default:
		return u.finish(ctx, set, is)
	}
}

// finish has a StatefulSet that is being deleted go, once its pods and claims are
// let go of and its last state is stored. If the database goes, too, nothing is
// left of it.
func (u *Updater) finish(ctx context.Context, set *kubedb.StatefulSet, is *intent) error {
	if len(set.Finalizers) != 1 || !isHeld(set) {
		return u.held(set)
	}
	db, err := u.ownerOf(ctx, set, is)
	if err != nil {
		return err
	}
	if db == nil {
		if err := u.drop(ctx, is); err != nil {
			return err
		}
		return u.letFinish(ctx, set)
	}
	next, m, err := lastState(set, is)
	switch {
	case err != nil:
		return err
	case !is.says(next):
		return u.store(ctx, db, is, next, m)
	}
	// What would not be created stays until it would.
	if err := is.check(db); err != nil {
		return &bus.Hindrance{Failure: refusal(set, err.Error()+"; it was deleted without its pods, and waits to be recreated"), Err: err}
	}
	if err := u.release(ctx, set); err != nil {
		return err
	}
	return u.letFinish(ctx, set)
}

// lastState is the successor by what the StatefulSet, which is being deleted, is
// now, and the mark that it has, or had.
func lastState(set *kubedb.StatefulSet, is *intent) (*kubedb.StatefulSet, mark, error) {
	m, _ := readMark(set)
	if is.isOf(set) {
		m = is.mark // nobody but the updater can write it
	}
	next, err := successor(set, m)
	if err == nil && metav1.GetControllerOfNoCopy(next) == nil && is.isOf(set) {
		next.OwnerReferences = is.next.OwnerReferences // nothing else says whose it is
	}
	return next, m, err
}

// create makes the successor. Finding one there is no error: it is looked at.
func (u *Updater) create(ctx context.Context, is *intent) error {
	db, err := u.ownerOf(ctx, nil, is)
	switch {
	case err != nil:
		return err
	case db == nil:
		return u.drop(ctx, is)
	}
	if err := is.check(db); err != nil {
		return bus.Permanent(events.Failure{
			Step: "update", Object: "ControllerRevision " + is.revision.Namespace + "/" + is.revision.Name, Reason: ReasonRecreateRefused,
			Message: err.Error() + ", and nothing is created from it: find out who wrote it, and delete it",
		})
	}
	next := is.next.DeepCopy()
	next.UID, next.ManagedFields = "", nil
	// By this label the admission policy knows what it has to compare with the intent.
	next.Labels = maps.Clone(next.Labels)
	if next.Labels == nil {
		next.Labels = map[string]string{}
	}
	next.Labels[Recreate] = is.revision.Labels[Recreate]
	_, err = u.client.StatefulSets(next.Namespace).Create(ctx, next, metav1.CreateOptions{FieldManager: manager})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil
	case err == nil:
		zerolog.Ctx(ctx).Info().Str("statefulset", next.Namespace+"/"+next.Name).Msg("recreated")
		return nil
	default:
		return u.hindered(next, fmt.Errorf("create %s: %w", nameOf(next), err))
	}
}

// hindered is for a write that was possible a moment ago and may be again: it is
// tried until it is.
func (u *Updater) hindered(set *kubedb.StatefulSet, err error) error {
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		return &bus.Hindrance{Failure: refusal(set, err.Error()+"; it is tried again until that is allowed"), Err: err}
	}
	return err
}

// settle makes the successor all that its predecessor was.
func (u *Updater) settle(ctx context.Context, set *kubedb.StatefulSet, is *intent) error {
	if is.next == nil {
		return u.drop(ctx, is)
	}
	switch same, smaller := sameKind(set, is.next); {
	case !same:
		if err := u.drop(ctx, is); err != nil {
			return err
		}
		return u.refused(set, "while it was recreated somebody else created another one of that name, which is left alone")
	case smaller: // somebody created the old one: that is to be recreated, too
		return u.drop(ctx, is)
	}
	if done, err := u.restore(ctx, set, is.next); done || err != nil {
		return err
	}
	adopted, err := u.isAdopted(ctx, set)
	switch {
	case err != nil:
		return err
	case !adopted:
		return u.notAdopted(set)
	default:
		return u.drop(ctx, is)
	}
}

// undo takes back what was prepared to delete a StatefulSet. The mark goes first:
// without it nobody deletes.
func (u *Updater) undo(ctx context.Context, set *kubedb.StatefulSet, is *intent) error {
	if isTouched(set) {
		return u.takeOff(ctx, set)
	}
	return u.drop(ctx, is)
}

// heldError says for what a recreation waits.
type heldError struct {
	failure events.Failure
	// wait waits until that has changed.
	wait func(ctx context.Context) error
}

// Error implements error.
func (h *heldError) Error() string { return h.failure.Error() }

// held is for a StatefulSet that others keep from going.
func (u *Updater) held(set *kubedb.StatefulSet) error {
	failure := refusal(set, "it was deleted without its pods and does not go: finalizers "+strings.Join(withoutFinalizer(set), ", ")+
		"; it is recreated when it is gone")
	failure.Reason = ReasonWorkloadNotDeleted
	return &heldError{failure, func(ctx context.Context) error {
		return u.client.WaitStatefulSet(ctx, set.Namespace, set.Name, func(is *kubedb.StatefulSet) bool {
			return is == nil || is.UID != set.UID || !slices.Equal(is.Finalizers, set.Finalizers)
		})
	}}
}

// notAdopted is for a StatefulSet whose pods do not belong to it yet.
func (u *Updater) notAdopted(set *kubedb.StatefulSet) error {
	failure := refusal(set, "it was recreated, and its pods do not all belong to it as they must: does its controller run?")
	failure.Reason = ReasonNotAdopted
	return &heldError{failure, func(ctx context.Context) error { return u.adopted(ctx, set) }}
}

// late makes a deadline that passed while somebody was waited for a failure that
// says so.
func late(ctx context.Context, failure events.Failure, err error) error {
	if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return bus.Permanent(failure)
}
