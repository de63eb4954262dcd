// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"errors"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/control"
)

// Release implements bus.Releaser: a StatefulSet that is about to be deleted for a
// request which has ended otherwise is left in peace, and one that is gone is
// made anew.
func (u *Updater) Release(ctx context.Context, e, last events.Event) error {
	switch last.Fact {
	case events.Requested, events.Paused, events.Expanded, events.Updated:
		return nil // the step is under way anew, or done
	}
	db, err := u.database(ctx, e.Operation.Database)
	if err != nil {
		return ignoreGone(err)
	}
	if db.Labels[Intent] != e.Operation.Request.UID {
		return nil
	}
	intent, err := intentOf(db)
	if err != nil || intent == nil {
		return err
	}
	set, err := u.statefulSet(ctx, intent.Namespace, intent.Name)
	if err != nil || set != nil && (set.DeletionTimestamp != nil || set.UID != intent.UID) {
		return err // it may last: the keeper does the rest
	}
	return u.finish(ctx, db, intent)
}

// ignoreGone is nil for a failure: what is gone needs nothing.
func ignoreGone(err error) error {
	var failure *events.Failure
	if errors.As(err, &failure) {
		return nil
	}
	return err
}

// waiting is how many StatefulSets are waited for at once.
const waiting = 16

// Keeper carries out the intents that requests leave behind which have ended: a
// StatefulSet that did not go in time, or a create that was refused.
type Keeper struct {
	updater   *Updater
	loop      *control.Loop
	databases cache.SharedIndexInformer
}

// NewKeeper returns a keeper of the intents in a namespace, or in all if it is
// empty.
func NewKeeper(u *Updater, namespace string) (*Keeper, error) {
	k := &Keeper{updater: u}
	k.databases = u.client.SinglestoreInformer(namespace, func(options *metav1.ListOptions) { options.LabelSelector = Intent })
	k.loop = control.New("intents", waiting, k.sync)
	return k, k.loop.Watch(k.databases, func(object any) []types.NamespacedName {
		db, ok := object.(*kubedb.Singlestore)
		if !ok {
			return nil
		}
		return []types.NamespacedName{{Namespace: db.Namespace, Name: db.Name}}
	})
}

// Run keeps until the context ends.
func (k *Keeper) Run(ctx context.Context) error { return k.loop.Run(ctx) }

// sync takes the next step of an intent, unless the database is paused: then the
// request is at work, and its end is a change that comes here.
func (k *Keeper) sync(ctx context.Context, key types.NamespacedName) error {
	_, exists, err := k.databases.GetStore().GetByKey(key.String())
	if err != nil || !exists {
		return err
	}
	for {
		db, err := k.updater.client.Singlestores(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && (kubedb.IsPaused(db) || db.DeletionTimestamp != nil) {
			return nil
		}
		if err != nil {
			return err
		}
		intent, err := intentOf(db)
		if err != nil || intent == nil {
			return err
		}
		zerolog.Ctx(ctx).Warn().Stringer("database", key).Str("statefulset", intent.Name).Msg("a request has left a StatefulSet that is to be made anew")
		if err := k.updater.finish(ctx, db, intent); err != nil {
			return ignoreGone(err)
		}
	}
}
