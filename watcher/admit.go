// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// admit begins the chain of a request that can start, or rejects it, if the broker
// has room for a chain.
func (w *Watcher) admit(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	if w.LeaveOtherTypes && request.Invalid() == nil && request.Spec.Type != kubedb.TypeVolumeExpansion {
		return nil
	}
	last, err := w.Chain.Last(ctx, chainKey(request))
	switch {
	case err == nil:
		return w.makeUp(ctx, request, last) // begun already: the status is on its way
	case !errors.Is(err, bus.ErrNoChain):
		return err
	}
	if err := w.Chain.Room(ctx); err != nil {
		return w.waitForRoom(ctx, request, err)
	}
	err = w.start(ctx, request)
	if err == nil {
		return nil
	}
	if noRoom := w.Chain.Room(ctx); noRoom != nil {
		return w.waitForRoom(ctx, request, noRoom)
	}
	return err
}

// start is admit of a request whose chain has not begun.
func (w *Watcher) start(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	at, err := w.place(ctx, request)
	if err != nil {
		return err
	}
	if at.SkippedFor != nil {
		return w.begin(ctx, skipping(request, at.SkippedFor))
	}
	p, err := w.planner.Make(ctx, request)
	if err != nil {
		return err
	}
	if refusal := p.Refusal(); refusal != nil {
		return w.begin(ctx, rejection(request, refusal))
	}
	if finding := at.Finding(); finding != nil {
		return w.wait(ctx, request, kubedb.OpsPending, finding.Reason, finding.Message)
	}
	if finding := p.WaitsAt(plan.StepAdmit); finding != nil {
		return w.park(ctx, request, finding)
	}
	w.warn(ctx, request, p)
	return w.begin(ctx, events.First(events.Requested, kind, w.operation(request, p)))
}

// parkedAgain is when a request is looked at again that waits for a right, or for
// claims to be made: nobody tells us of these.
const parkedAgain = 5 * time.Second

// park says what a request waits for that has not started. It is looked at again
// when its database changes, and when the wait is known to be over.
func (w *Watcher) park(ctx context.Context, request *kubedb.SinglestoreOpsRequest, finding *plan.Finding) error {
	if err := w.wait(ctx, request, kubedb.OpsPending, finding.Reason, finding.Message); err != nil {
		return err
	}
	key := types.NamespacedName{Namespace: request.Namespace, Name: request.Name}
	switch {
	case !finding.Until.IsZero():
		w.loop.AddAfter(key, time.Until(finding.Until))
	case finding.Reason == plan.ReasonRightMissing, finding.Reason == plan.ReasonClaimMissing:
		w.loop.AddAfter(key, parkedAgain)
	}
	return nil
}

// begin publishes a chain's first event. Another replica may have done so.
func (w *Watcher) begin(ctx context.Context, first events.Event) error {
	_, err := w.Chain.Begin(ctx, first)
	if errors.Is(err, bus.ErrLostRace) {
		return nil
	}
	return err
}
