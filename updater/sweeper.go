// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/control"
)

// Release implements bus.Releaser: a StatefulSet that is about to be deleted for a
// request which has ended otherwise is left as it was, and one that is deleted is
// recreated. Release returns when that is done, however long somebody keeps the
// StatefulSet: the message is not acknowledged before, so that the updater is not
// scaled to zero meanwhile.
func (u *Updater) Release(ctx context.Context, e, _ events.Event) error {
	for _, component := range e.Operation.Components {
		key := types.NamespacedName{Namespace: e.Operation.Database.Namespace, Name: component.Workload}
		for {
			done, err := u.clear(ctx, key, e.Operation.Request.UID)
			held := new(heldError)
			switch {
			case apierrors.IsConflict(err):
				continue
			case errors.As(err, &held):
				zerolog.Ctx(ctx).Warn().Stringer("statefulset", key).Str("reason", held.failure.Message).Msg("the request has ended, and its StatefulSet is still to be recreated")
				err = held.wait(ctx)
			}
			if err = ignorePermanent(ctx, err); err != nil {
				return err
			}
			if done {
				break
			}
		}
	}
	return nil
}

// clear takes the next step of whatever the request, which has ended, has left; an
// empty uid stands for any request.
func (u *Updater) clear(ctx context.Context, key types.NamespacedName, request string) (done bool, err error) {
	set, is, err := u.look(ctx, key)
	if err != nil {
		return false, err
	}
	left := set != nil && isTouched(set) || is != nil
	if request != "" {
		left = set != nil && set.Labels[Recreate] == request || is != nil && is.mark.Request.UID == request
	}
	switch {
	case !left:
		return true, nil
	case set != nil && set.DeletionTimestamp == nil && (is == nil || is.isOf(set)):
		return false, u.undo(ctx, set, is)
	case is == nil && !isHeld(set):
		return true, nil // somebody deletes what is left of a mark
	default:
		err := u.carryOn(ctx, set, is)
		var failure *events.Failure
		return errors.As(err, &failure), err
	}
}

// ignorePermanent is nil for what no repetition can mend, which is told: whoever
// wrote it is the one to help.
func ignorePermanent(ctx context.Context, err error) error {
	var failure *events.Failure
	if hindrance := new(bus.Hindrance); !errors.As(err, &hindrance) && errors.As(err, &failure) {
		zerolog.Ctx(ctx).Error().Err(err).Msg("a request has left what cannot be recreated")
		return nil
	}
	return err
}

const (
	// waiting is how many StatefulSets the sweeper looks after at once.
	waiting = 16
	// grace is how long after the request's end, or, where the broker knows nothing
	// of the request, after it was first seen, somebody else may be at work: the
	// step's own Release, or the watcher, which begins a lost chain again.
	grace = 2 * time.Minute
)

// Sweeper recreates the StatefulSets that requests leave behind which have ended,
// and takes the marks off those that were not deleted. The step does so itself;
// this is for when nobody asks it any more, because the broker gave the event up
// or lost it. Whether a request is at work its chain alone says, and as long as it
// is the sweeper touches nothing.
type Sweeper struct {
	updater       *Updater
	last          func(context.Context, events.ChainKey) (events.Event, error)
	loop          *control.Loop
	sets, intents cache.SharedIndexInformer
	// seen is when the StatefulSet of a name was first found marked, or intended.
	seen  sync.Map
	grace time.Duration
}

// NewSweeper returns a sweeper of the StatefulSets in a namespace, or in all if it is
// empty. last reads the end of a chain.
func NewSweeper(u *Updater, namespace string, last func(context.Context, events.ChainKey) (events.Event, error)) (*Sweeper, error) {
	k := &Sweeper{updater: u, last: last, grace: grace}
	k.loop = control.New("recreations", waiting, k.sync)
	marked := func(options *metav1.ListOptions) { options.LabelSelector = Recreate }
	k.sets = u.client.StatefulSetInformer(namespace, marked)
	k.intents = kubedb.NewInformer(u.core.AppsV1().ControllerRevisions(namespace), &appsv1.ControllerRevision{}, marked)
	return k, errors.Join(k.loop.Watch(k.sets, keysOf), k.loop.Watch(k.intents, keysOf))
}

// keysOf is the StatefulSet that the object is, or is the intent of.
func keysOf(object any) []types.NamespacedName {
	switch object := object.(type) {
	case *kubedb.StatefulSet:
		return []types.NamespacedName{{Namespace: object.Namespace, Name: object.Name}}
	case *appsv1.ControllerRevision:
		if name, ok := strings.CutPrefix(object.Name, intentPrefix); ok {
			return []types.NamespacedName{{Namespace: object.Namespace, Name: name}}
		}
	}
	return nil
}

// Run keeps until the context ends.
func (k *Sweeper) Run(ctx context.Context) error { return k.loop.Run(ctx) }

// sync clears what is left of a request that has ended, or comes back when that
// can be said. What is young is somebody's who is at work.
func (k *Sweeper) sync(ctx context.Context, key types.NamespacedName) error {
	if _, marked, _ := k.sets.GetStore().GetByKey(key.String()); !marked {
		if _, intended, _ := k.intents.GetStore().GetByKey(key.Namespace + "/" + IntentName(key.Name)); !intended {
			k.seen.Delete(key)
			return nil
		}
	}
	seen, _ := k.seen.LoadOrStore(key, time.Now())
	if wait := time.Until(seen.(time.Time).Add(k.grace)); wait > 0 {
		k.loop.AddAfter(key, wait)
		return nil
	}
	set, is, err := k.updater.look(ctx, key)
	if err != nil || is == nil && (set == nil || !isTouched(set)) {
		return err
	}
	until, err := k.atWorkUntil(ctx, set, is)
	if err != nil {
		return err
	}
	if wait := time.Until(until); wait > 0 {
		k.loop.AddAfter(key, wait)
		return nil
	}
	zerolog.Ctx(ctx).Warn().Stringer("statefulset", key).Msg("a request that has ended has left a StatefulSet that is marked, or to be recreated")
	for {
		done, err := k.updater.clear(ctx, key, "")
		if held := new(heldError); errors.As(err, &held) {
			zerolog.Ctx(ctx).Warn().Stringer("statefulset", key).Str("reason", held.failure.Message).Msg("it is waited for")
			return k.rest(key, held)
		}
		if err = ignorePermanent(ctx, err); done || err != nil {
			return err
		}
	}
}

// rest has the StatefulSet looked at again: a change of its own is told by the
// watch, that its pods have been adopted is not.
func (k *Sweeper) rest(key types.NamespacedName, held *heldError) error {
	if held.failure.Reason == ReasonNotAdopted {
		return fmt.Errorf("%s: %w", key, held)
	}
	return nil
}

// atWorkUntil is when the request is nobody's any more at the latest.
func (k *Sweeper) atWorkUntil(ctx context.Context, set *kubedb.StatefulSet, is *intent) (time.Time, error) {
	m, _ := readMark(set)
	if is != nil {
		m = is.mark
	}
	if m.Request.UID == "" {
		return time.Time{}, nil // whoever wrote that, it is no request's
	}
	last, err := k.last(ctx, events.ChainKey{
		Kind: strings.ToLower(strings.TrimSuffix(m.Request.Kind, "OpsRequest")), Namespace: m.Request.Namespace, UID: m.Request.UID,
	})
	switch {
	case errors.Is(err, bus.ErrNoChain):
		return time.Time{}, nil // it was waited for, in case the watcher begins it again
	case err != nil:
		return time.Time{}, err
	case last.Fact.Precedes(events.Updated):
		return last.Operation.Deadline.Add(k.grace), nil
	default:
		return last.Time.Add(k.grace), nil
	}
}
