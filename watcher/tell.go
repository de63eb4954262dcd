// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// tell records the fact as a Kubernetes event of the request. Its name is made
// of the request and the fact, so that a fact that comes twice is told once.
func (w *Watcher) tell(ctx context.Context, request *kubedb.SinglestoreOpsRequest, e events.Event) error {
	what, ok := telling(e, w.pauseAfter(e))
	if !ok {
		return nil
	}
	return w.record(ctx, request, eventName(request, string(e.Fact)), e.Time, string(e.Fact), what)
}

// warn tells, as well as it can, what a person should know of a request that
// starts all the same.
func (w *Watcher) warn(ctx context.Context, request *kubedb.SinglestoreOpsRequest, p plan.Plan) {
	var notes []string
	for _, finding := range p.Of(plan.Warning) {
		zerolog.Ctx(ctx).Warn().Str("request", request.Namespace+"/"+request.Name).Str("reason", finding.Reason).Msg(finding.Message)
		notes = append(notes, finding.Reason+": "+finding.Message)
	}
	if len(notes) == 0 {
		return
	}
	if err := w.record(ctx, request, eventName(request, "plan"), time.Now(), "plan", told{corev1.EventTypeWarning, "Plan", strings.Join(notes, "; ")}); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the plan's warnings are not told")
	}
}

// record writes a Kubernetes event of the request, unless one of that name is
// there.
func (w *Watcher) record(ctx context.Context, request *kubedb.SinglestoreOpsRequest, name string, at time.Time, action string, what told) error {
	event := &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Name: name, Namespace: request.Namespace},
		EventTime:           metav1.NewMicroTime(at),
		ReportingController: "opsrelay.dev/watcher",
		ReportingInstance:   "watcher",
		Action:              action,
		Type:                what.kind,
		Reason:              what.reason,
		Note:                events.Shorten(what.note, maxNote),
		Regarding: corev1.ObjectReference{
			APIVersion: kubedb.OpsGroupVersion.String(), Kind: kubedb.KindSinglestoreOpsRequest,
			Namespace: request.Namespace, Name: request.Name, UID: request.UID, ResourceVersion: request.ResourceVersion,
		},
	}
	_, err := w.Core.EventsV1().Events(request.Namespace).Create(ctx, event, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return fmt.Errorf("record event %s/%s: %w", request.Namespace, event.Name, err)
	}
	return nil
}

// maxNote keeps a note within what the API takes: 1 KiB.
const maxNote = 1000

// eventNotResumed is the reason of the event at the end of a chain whose database is
// gone, or paused by somebody else: KubeDB has no word for it.
const eventNotResumed = "NotResumed"

// told is what a Kubernetes event says.
type told struct{ kind, reason, note string }

// pauseAfter says what is left of the pause of a chain's database, as it was last
// seen: nothing if it is resumed. Only the words of an event depend on it.
func (w *Watcher) pauseAfter(e events.Event) (left string) {
	ref := e.Operation.Database
	object, exists, err := w.databases.GetStore().GetByKey(ref.Namespace + "/" + ref.Name)
	if err != nil {
		return "" // the store's only error is a malformed key
	}
	if !exists || ref.UID != "" && string(object.(*kubedb.Singlestore).UID) != ref.UID {
		return "is gone"
	}
	db := object.(*kubedb.Singlestore)
	owner, paused := kubedb.PausedBy(db)
	if !paused || string(owner.UID) == e.Operation.Request.UID { // the watch is behind
		return ""
	}
	return "is still paused by somebody else: " + kubedb.FindCondition(db.Status.Conditions, kubedb.ConditionPaused).Message
}

// telling is what is said of a fact: Normal for what goes as it should, Warning
// for trouble only. What is left of the database's pause is said when it is given
// back.
func telling(e events.Event, left string) (told, bool) {
	op := e.Operation
	database, request := op.Database, op.Request
	switch e.Fact {
	case events.Requested:
		return told{corev1.EventTypeNormal, kubedb.EventStarting, fmt.Sprintf("Start processing for %s: %s/%s", request.Kind, request.Namespace, request.Name)}, true
	case events.Paused:
		return told{corev1.EventTypeNormal, kubedb.EventSuccessful, kubedb.PausedMessage(database.Namespace, database.Name, request.Name)}, true
	case events.Expanded:
		if recovered(op) {
			return told{corev1.EventTypeWarning, kubedb.EventFailed, op.Failure.Error()}, true
		}
		return told{corev1.EventTypeNormal, kubedb.ConditionVolumeExpansion, "every volume has its new size: " + sizes(op)}, true
	case events.Updated:
		return told{corev1.EventTypeNormal, kubedb.ConditionUpdatePetSets, kubedb.MessageUpdatePetSets}, true
	case events.Rejected:
		if skipped(op) {
			return told{corev1.EventTypeNormal, kubedb.ConditionSkipped, op.Failure.Message}, true
		}
		return told{corev1.EventTypeWarning, kubedb.EventFailed, op.Failure.Error()}, true
	case events.Failed:
		return told{corev1.EventTypeWarning, kubedb.EventFailed, op.Failure.Error()}, true
	case events.Cancelled:
		return told{corev1.EventTypeWarning, kubedb.EventFailed, cancellation(op)}, true
	case events.Resumed:
		if left != "" {
			return told{corev1.EventTypeNormal, eventNotResumed, fmt.Sprintf("%s %s/%s is not resumed: it %s", database.Kind, database.Namespace, database.Name, left)}, true
		}
		return told{corev1.EventTypeNormal, kubedb.EventSuccessful, kubedb.ResumedMessage(database.Namespace, database.Name, request.Name)}, true
	default:
		return told{}, false
	}
}

func sizes(op events.Operation) string {
	parts := make([]string, len(op.Components))
	for i, component := range op.Components {
		parts[i] = fmt.Sprintf("%s %s -> %s", component.Name, component.From, component.To)
	}
	return strings.Join(parts, ", ")
}

// eventName is unique for request and what happened, and short enough for a name.
func eventName(request *kubedb.SinglestoreOpsRequest, what string) string {
	const limit = 200
	name := request.Name
	if len(name) > limit {
		name = strings.TrimRight(name[:limit], "-.")
	}
	return fmt.Sprintf("%s.%s.%.8s", name, what, request.UID)
}
