// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// redrive compares a request that has been under way without news for a while
// with its chain, which may have been lost with the broker's data, and drives it
// anew: idempotent steps run through what is true already.
func (w *Watcher) redrive(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	key := types.NamespacedName{Namespace: request.Namespace, Name: request.Name}
	if quiet := w.Chain.Now().Sub(lastNews(request)); quiet < w.RedriveAfter {
		w.loop.AddAfter(key, min(w.RedriveAfter-quiet, w.RedriveAfter))
		return nil
	}
	w.loop.AddAfter(key, w.RedriveAfter)
	last, err := w.Chain.Last(ctx, chainKey(request))
	if err == nil {
		return w.makeUp(ctx, key, last)
	}
	if !errors.Is(err, bus.ErrNoChain) {
		return err
	}
	p, err := w.planner.Make(ctx, request)
	if err != nil {
		return err
	}
	if refusal := p.Refusal(); refusal != nil {
		// It cannot go on. Nobody else may know that it holds its database.
		first := events.First(events.Requested, kind, events.Operation{Request: reference(request), Database: databaseReference(request)})
		if first, err = w.Chain.Begin(ctx, first); err != nil {
			return err
		}
		_, err = w.Chain.Follow(ctx, first, first.Failed(*refused(request, refusal)))
		return err
	}
	zerolog.Ctx(ctx).Warn().Stringer("request", key).Msg("the broker has lost the chain of a request under way, beginning it anew")
	if err := w.hold(ctx, request); err != nil {
		return err
	}
	return w.begin(ctx, events.First(events.Requested, kind, w.operation(request, p)))
}

// makeUp writes the status for a chain that has ended, if nobody has for a while:
// that write was lost.
func (w *Watcher) makeUp(ctx context.Context, key types.NamespacedName, last events.Event) error {
	if !last.Fact.Ends() {
		return nil
	}
	if age := w.Chain.Now().Sub(last.Time); age < w.RedriveAfter {
		w.loop.AddAfter(key, min(w.RedriveAfter-age, w.RedriveAfter))
		return nil // it is being handled
	}
	_, err := w.Handle(ctx, last, nil)
	return err
}

// lastNews is when the status last changed, to the second.
func lastNews(request *kubedb.SinglestoreOpsRequest) time.Time {
	news := request.CreationTimestamp.Time
	for _, condition := range request.Status.Conditions {
		if condition.LastTransitionTime.After(news) {
			news = condition.LastTransitionTime.Time
		}
	}
	return news
}
