// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"slices"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Progress says in the status of a request what a volume of it waits for that
// somebody may have to do something about, until it goes on. It is for people:
// what goes wrong here is worth a line in the log. It is to be called with one
// progress after the other.
func (w *Watcher) Progress(ctx context.Context, p events.Progress) {
	switch {
	case p.Waits():
		w.waiters[p.Request.UID] = true
	case !w.waiters[p.Request.UID] && !w.saidToWait(p.Request):
		return
	default:
		delete(w.waiters, p.Request.UID)
	}
	for {
		request, err := w.read(ctx, p.Request)
		if err == nil && request != nil && request.Status.Phase == kubedb.OpsProgressing {
			err = w.sayProgress(ctx, request, p)
		}
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil && ctx.Err() == nil {
			zerolog.Ctx(ctx).Warn().Str("request", p.Request.Namespace+"/"+p.Request.Name).Err(err).Msg("cannot say what the request waits for")
		}
		return
	}
}

func (w *Watcher) sayProgress(ctx context.Context, request *kubedb.SinglestoreOpsRequest, p events.Progress) error {
	if p.Waits() {
		return w.wait(ctx, request, request.Status.Phase, p.State, p.Message)
	}
	if !waitsForVolume(request.Status.Conditions) {
		return nil
	}
	status := request.Status
	status.Conditions = kubedb.RemoveCondition(status.Conditions, conditionWaiting)
	return w.writeStatus(ctx, request, status)
}

// saidToWait reports whether the request's status says so, as it was last seen.
func (w *Watcher) saidToWait(ref events.Reference) bool {
	object, exists, err := w.requests.GetStore().GetByKey(ref.Namespace + "/" + ref.Name)
	return err == nil && exists && waitsForVolume(object.(*kubedb.SinglestoreOpsRequest).Status.Conditions)
}

// waitsForVolume reports whether the conditions say that a volume waits, which
// is nothing that an earlier fact takes back.
func waitsForVolume(conditions []kubedb.Condition) bool {
	waiting := kubedb.FindCondition(conditions, conditionWaiting)
	return waiting != nil && slices.Contains(events.WaitingStates(), waiting.Reason)
}
