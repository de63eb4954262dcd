// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// Finalizer is on a request as long as it may hold its database paused: a
// request that is deleted is not gone before its database is resumed.
const Finalizer = "opsrelay.dev/relay"

// kind is the kind of database in subjects.
const kind = "singlestore"

// sync brings one request where it belongs, whatever happened before.
func (w *Watcher) sync(ctx context.Context, key types.NamespacedName) error {
	if err := w.takeBack(ctx, key); err != nil {
		return err
	}
	object, exists, err := w.written.GetByKey(key.String())
	if err != nil || !exists {
		w.waits.forget(key)
		w.growing.forget(key)
		return err
	}
	request := object.(*kubedb.SinglestoreOpsRequest)
	switch {
	case request.DeletionTimestamp != nil:
		return w.cancel(ctx, request)
	case request.Status.Phase.Terminal():
		w.waits.forget(key)
		w.growing.forget(key)
		return w.letGo(ctx, request)
	case plan.Pending(request):
		return w.admit(ctx, request)
	case request.Status.Phase == kubedb.OpsProgressing:
		return errors.Join(w.sayWhoPauses(ctx, request), w.sayProgress(ctx, request), w.sayGrowing(ctx, request), w.redrive(ctx, request))
	default:
		return nil // it waits for somebody's approval
	}
}

// admit begins the chain of a request that can start, or rejects it.
func (w *Watcher) admit(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	if w.LeaveOtherTypes && request.Invalid() == nil && request.Spec.Type != kubedb.TypeVolumeExpansion {
		return nil
	}
	if _, err := w.Chain.Last(ctx, chainKey(request)); !errors.Is(err, bus.ErrNoChain) {
		return err // begun already: the status is on its way
	}
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
	if err := w.hold(ctx, request); err != nil {
		return err
	}
	w.warn(ctx, request, p)
	return w.begin(ctx, events.First(events.Requested, kind, w.operation(request, p)))
}

// rightsAgain is when a request that waits for a right is looked at again: nobody
// tells us when it is granted.
const rightsAgain = 5 * time.Second

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
	case finding.Reason == plan.ReasonRightMissing:
		w.loop.AddAfter(key, rightsAgain)
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

// operation is the payload of an admitted request.
func (w *Watcher) operation(request *kubedb.SinglestoreOpsRequest, p plan.Plan) events.Operation {
	timeout, retries := w.StepTimeout, 1 // KubeDB's default
	if request.Spec.Timeout != nil {
		timeout = request.Spec.Timeout.Duration
	}
	if request.Spec.MaxRetries != nil {
		retries = int(*request.Spec.MaxRetries)
	}
	op := events.Operation{
		Request: reference(request),
		Database: events.Reference{
			Kind: kubedb.KindSinglestore, Namespace: p.Database.Namespace, Name: p.Database.Name,
			UID: string(p.Database.UID), Generation: p.Database.Generation,
		},
		Mode:        events.Mode(request.Spec.VolumeExpansion.Mode),
		Apply:       events.Apply(request.Spec.Apply),
		Infeasible:  events.Infeasible(request.Annotations[kubedb.AnnotationInfeasible]),
		StepTimeout: events.SecondsOf(timeout),
		MaxRetries:  retries,
	}
	if request.Annotations[AnnotationLeftoverClaims] == "grow" {
		op.Leftovers = events.GrowLeftovers
	}
	for _, component := range p.Components {
		c := events.Component{Name: component.Name, Workload: component.Workload, From: component.From, To: component.To}
		for _, volume := range component.Volumes {
			c.Volumes = append(c.Volumes, events.Volume{Claim: volume.Claim, Capacity: volume.Capacity})
		}
		op.Components = append(op.Components, c)
	}
	return op
}

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
		if last.Fact.Ends() { // the write of the status was lost
			_, err = w.Handle(ctx, last)
		}
		return err
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

func rejection(request *kubedb.SinglestoreOpsRequest, refusal *plan.Refusal) events.Event {
	return events.First(events.Rejected, kind, events.Operation{
		Request: reference(request), Database: databaseReference(request), Failure: refused(request, refusal),
	})
}

// skipping rejects a request that a newer one makes needless. It is a fact like
// any other, so that it cannot be skipped and begun at once.
func skipping(request, newest *kubedb.SinglestoreOpsRequest) events.Event {
	e := rejection(request, &plan.Refusal{Reason: kubedb.ConditionSkipped})
	e.Operation.Failure.Message = kubedb.SkippedMessage(newest)
	return e
}

func refused(request *kubedb.SinglestoreOpsRequest, refusal *plan.Refusal) *events.Failure {
	return &events.Failure{
		Step: "admit", Object: fmt.Sprintf("%s %s/%s", kubedb.KindSinglestoreOpsRequest, request.Namespace, request.Name),
		Reason: refusal.Reason, Message: refusal.Error(),
	}
}

// databaseReference is the database as far as the request itself names it.
func databaseReference(request *kubedb.SinglestoreOpsRequest) events.Reference {
	return events.Reference{Kind: kubedb.KindSinglestore, Namespace: request.Namespace, Name: request.Spec.DatabaseRef.Name}
}

func reference(request *kubedb.SinglestoreOpsRequest) events.Reference {
	return events.Reference{
		Kind: kubedb.KindSinglestoreOpsRequest, Namespace: request.Namespace, Name: request.Name,
		UID: string(request.UID), Generation: request.Generation,
	}
}

func chainKey(request *kubedb.SinglestoreOpsRequest) events.ChainKey {
	return events.ChainKey{Kind: kind, Namespace: request.Namespace, UID: string(request.UID)}
}

// cancel ends the chain of a deleted request, and lets the request go when its
// database is resumed.
func (w *Watcher) cancel(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	if !slices.Contains(request.Finalizers, Finalizer) {
		return nil
	}
	last, err := w.Chain.Last(ctx, chainKey(request))
	if errors.Is(err, bus.ErrNoChain) {
		return w.letGo(ctx, request)
	}
	if err == nil {
		last, err = w.endChain(ctx, last)
	}
	if err != nil || !last.Fact.Ends() {
		return err // resumed will change the status, which calls us again
	}
	return w.letGo(ctx, request)
}

// hold puts our finalizer on the request.
func (w *Watcher) hold(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	if slices.Contains(request.Finalizers, Finalizer) {
		return nil
	}
	return w.setFinalizers(ctx, request, append(slices.Clone(request.Finalizers), Finalizer))
}

// letGo takes our finalizer off the request.
func (w *Watcher) letGo(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	if !slices.Contains(request.Finalizers, Finalizer) {
		return nil
	}
	return w.setFinalizers(ctx, request, slices.DeleteFunc(slices.Clone(request.Finalizers), func(name string) bool { return name == Finalizer }))
}

func (w *Watcher) setFinalizers(ctx context.Context, request *kubedb.SinglestoreOpsRequest, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": request.UID, "resourceVersion": request.ResourceVersion, "finalizers": finalizers,
	}})
	if err != nil {
		return fmt.Errorf("finalizers of request %s/%s: %w", request.Namespace, request.Name, err)
	}
	switch err := w.patch(ctx, request, patch); {
	case err == nil, apierrors.IsNotFound(err):
		return nil
	default:
		return fmt.Errorf("finalizers of request %s/%s: %w", request.Namespace, request.Name, err)
	}
}

// sayWhoPauses says in the status that somebody else holds the database paused,
// which the request has to wait for.
func (w *Watcher) sayWhoPauses(ctx context.Context, request *kubedb.SinglestoreOpsRequest) error {
	object, exists, err := w.databases.GetStore().GetByKey(databaseKey(request))
	if err != nil || !exists || hasPaused(request) {
		return err
	}
	finding := plan.PausedBySomebodyElse(object.(*kubedb.Singlestore), request)
	if finding == nil {
		return nil
	}
	return w.wait(ctx, request, request.Status.Phase, finding.Reason, finding.Message)
}

// hasPaused reports whether the request has come to hold its database paused.
func hasPaused(request *kubedb.SinglestoreOpsRequest) bool {
	return kubedb.IsConditionTrue(request.Status.Conditions, kubedb.ConditionDatabasePauseSucceeded)
}

// maxWaiting bounds what a request is said to wait for, in bytes: each of a
// thousand volumes may have a reason.
const maxWaiting = 4 << 10

// wait says in the status of a request what it waits for. It is looked at again
// when its database changes.
func (w *Watcher) wait(ctx context.Context, request *kubedb.SinglestoreOpsRequest, phase kubedb.OpsRequestPhase, reason, message string) error {
	status := request.Status
	status.Phase = phase
	status.ObservedGeneration = request.Generation
	status.Conditions = kubedb.SetCondition(status.Conditions, kubedb.Condition{
		Type: conditionWaiting, Status: metav1.ConditionTrue, Reason: reason, Message: events.Shorten(message, maxWaiting),
		ObservedGeneration: request.Generation, LastTransitionTime: metav1.NewTime(time.Now()).Rfc3339Copy(),
	})
	return w.writeStatus(ctx, request, status)
}
