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
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// redrive compares a request that has been under way without news for a while
// with its chain, which may have been lost with the broker's data, and drives it
// again: idempotent steps run through what is true already.
func (w *Watcher) redrive(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	key := types.NamespacedName{Namespace: request.Namespace, Name: request.Name}
	if quiet := w.Chain.Now().Sub(lastNews(request)); quiet < w.RedriveAfter && !w.refusals.has(request, statusWrite) {
		w.loop.AddAfter(key, min(w.RedriveAfter-quiet, w.RedriveAfter))
		return nil
	}
	w.loop.AddAfter(key, w.RedriveAfter)
	last, err := w.Chain.Last(ctx, chainKey(request))
	if err == nil {
		return w.makeUp(ctx, request, last)
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
	zerolog.Ctx(ctx).Warn().Stringer("request", key).Msg("the broker has lost the chain of a request under way, beginning it again")
	return w.begin(ctx, events.First(events.Requested, kind, w.operation(request, p)))
}

// makeUp writes the status for what a chain ends with, if nobody has for a while:
// that write was lost, or refused. A request whose status shows that it is under
// way needs that for the chain's end only.
func (w *Watcher) makeUp(ctx context.Context, request *kubedb.SinglestoreOpsRequest, last events.Event) error {
	wasRefused := w.refusals.has(request, statusWrite)
	if !last.Fact.Ends() && !plan.Pending(request) && !wasRefused {
		return nil
	}
	if age := w.Chain.Now().Sub(last.Time); age < w.RedriveAfter && !wasRefused {
		w.loop.AddAfter(types.NamespacedName{Namespace: request.Namespace, Name: request.Name}, min(w.RedriveAfter-age, w.RedriveAfter))
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
