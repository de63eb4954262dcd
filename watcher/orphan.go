// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// byPause indexes the databases that are paused for a request by that request.
const byPause = "pause"

// pausedFor indexes the databases that are paused for a request.
func pausedFor(object any) ([]string, error) {
	if db, ok := object.(*kubedb.Singlestore); ok {
		if owner, ok := ownerOf(db); ok {
			return []string{owner.Namespace + "/" + owner.Name}, nil
		}
	}
	return nil, nil
}

// ownerOf is the request that the database is paused for, whether it exists or
// not. Somebody else's pause is none of ours.
func ownerOf(db *kubedb.Singlestore) (kubedb.Owner, bool) {
	owner, paused := kubedb.PausedBy(db)
	ours := paused && owner.Kind == kubedb.KindSinglestoreOpsRequest && owner.Namespace == db.Namespace
	return owner, ours
}

// takeBack has every database resumed that is paused for a request of that name
// which does not exist any more, or has ended or is being deleted after the broker
// lost its chain. Only the pauser may write a pause, so this is a cancellation like
// any other.
func (w *Watcher) takeBack(ctx context.Context, key types.NamespacedName) error {
	objects, err := w.databases.GetIndexer().ByIndex(byPause, key.String())
	if err != nil {
		return fmt.Errorf("databases paused for %s: %w", key, err)
	}
	for _, object := range objects {
		db := object.(*kubedb.Singlestore)
		owner, _ := ownerOf(db)
		ref := events.Reference{Kind: owner.Kind, Namespace: owner.Namespace, Name: owner.Name, UID: string(owner.UID)}
		request, err := w.find(ctx, ref)
		if err != nil {
			return err
		}
		if request != nil && (request.DeletionTimestamp == nil && !request.Status.Phase.Terminal() || w.leave(ctx, request)) {
			continue
		}
		if err := w.cancelGone(ctx, events.Operation{Request: ref, Database: events.Reference{
			Kind: kubedb.KindSinglestore, Namespace: db.Namespace, Name: db.Name, UID: string(db.UID), Generation: db.Generation,
		}, StepTimeout: events.SecondsOf(w.StepTimeout)}); err != nil {
			return err
		}
	}
	return nil
}

// cancelGone ends the chain of a request that is gone or has ended. A chain that the broker
// has lost is begun again to be ended: it names no volumes, so that nothing but
// its end can come of it.
func (w *Watcher) cancelGone(ctx context.Context, op events.Operation) error {
	first := events.First(events.Requested, kind, op)
	last, err := w.Chain.Last(ctx, first.ChainKey())
	if errors.Is(err, bus.ErrNoChain) {
		zerolog.Ctx(ctx).Warn().Str("database", op.Database.Namespace+"/"+op.Database.Name).Str("request", op.Request.Name).
			Msg("database is paused for a request that is gone or has ended, and the broker has lost its chain: taking the pause back")
		last, err = w.Chain.Begin(ctx, first)
	}
	if lost := new(bus.LostRace); errors.As(err, &lost) {
		last, err = lost.Last, nil
	}
	if err != nil {
		return err
	}
	_, err = w.end(ctx, last, cancelled)
	return err
}
