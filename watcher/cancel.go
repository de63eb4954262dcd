// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// ending makes the fact that ends the work of a chain out of the chain's last
// event: cancelled or failed, either of which may follow the same facts.
type ending func(last events.Event) events.Event

// cancelled ends the chain of a request that was deleted.
func cancelled(last events.Event) events.Event { return last.Next(events.Cancelled) }

// cancelledFor is cancelled for a reason of its own.
func cancelledFor(failure events.Failure) ending {
	return func(last events.Event) events.Event {
		next := last.Next(events.Cancelled)
		failure.Step = last.Fact.Step()
		next.Operation.Failure = &failure
		return next
	}
}

// failed ends the chain of a request whose work has become void.
func failed(failure events.Failure) ending {
	return func(last events.Event) events.Event {
		failure.Step = last.Fact.Step()
		return last.Failed(failure)
	}
}

// cancel ends the chain of a request that is there and not to go on.
func (w *Watcher) cancel(ctx context.Context, request *kubedb.SinglestoreOpsRequest, how ending) error {
	last, err := w.Chain.Last(ctx, chainKey(request))
	if errors.Is(err, bus.ErrNoChain) {
		return nil
	}
	if err == nil {
		last, err = w.end(ctx, last, how)
	}
	if err != nil {
		return err
	}
	return w.makeUp(ctx, request, last)
}

// end has the ending follow whatever a chain ends with, and returns what it ends
// with then: what must not be ended so is on its way to resumed, or is resumed.
func (w *Watcher) end(ctx context.Context, last events.Event, how ending) (events.Event, error) {
	for last.Fact.Precedes(events.Cancelled) {
		request, next := last.Operation.Request, how(last)
		zerolog.Ctx(ctx).Info().Str("request", request.Namespace+"/"+request.Name).Str("after", string(last.Fact)).Str("fact", string(next.Fact)).
			Msg("the request is not to go on, ending its chain")
		stored, err := w.Chain.Follow(ctx, last, next)
		var lost *bus.LostRace
		switch {
		case err == nil:
			return stored, nil
		case !errors.As(err, &lost):
			return last, err
		}
		last = lost.Last
	}
	return last, nil
}

// endWithDatabase fails a request under way whose database is being deleted, while
// it still is there, or is gone. It reports whether the request's work is over for
// it.
func (w *Watcher) endWithDatabase(ctx context.Context, request *kubedb.SinglestoreOpsRequest) (over bool, err error) {
	object, exists, err := w.databases.GetStore().GetByKey(databaseKey(request))
	if err != nil {
		return false, err
	}
	if exists && !w.mayReplace(object.(*kubedb.Singlestore), request) {
		return false, nil
	}
	last, err := w.Chain.Last(ctx, chainKey(request))
	switch {
	case errors.Is(err, bus.ErrNoChain), err == nil && !last.Fact.Precedes(events.Failed):
		return false, nil
	case err != nil:
		return false, err
	}
	failure, err := w.databaseGoes(ctx, last.Operation.Database)
	if failure == nil || err != nil {
		return false, err
	}
	_, err = w.end(ctx, last, failed(*failure))
	return err == nil, err
}

// mayReplace reports whether the database is being deleted, or may be another one
// than the request was admitted for: it is younger than the request.
func (w *Watcher) mayReplace(db *kubedb.Singlestore, request *kubedb.SinglestoreOpsRequest) bool {
	return db.DeletionTimestamp != nil || db.CreationTimestamp.After(request.CreationTimestamp.Time)
}

// databaseGoes reads the database of a chain, and returns why nothing is to be done
// for it any more; nil if something is.
func (w *Watcher) databaseGoes(ctx context.Context, ref events.Reference) (*events.Failure, error) {
	failure := &events.Failure{Object: fmt.Sprintf("%s %s/%s", ref.Kind, ref.Namespace, ref.Name)}
	db, err := w.Client.Singlestores(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case notThere(err), err == nil && ref.UID != "" && string(db.UID) != ref.UID:
		failure.Reason, failure.Message = kubedb.ReasonDatabaseGone, "the database was deleted while the request was under way; create a new request if there is a new database"
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", failure.Object, err)
	case db.DeletionTimestamp != nil:
		failure.Reason, failure.Message = kubedb.ReasonDatabaseTerminating, "the database is being deleted"
	default:
		return nil, nil
	}
	return failure, nil
}

// notThere reports whether the API server says that there is no such object. That
// it serves no such kind is another thing: a definition may be out of service
// for a moment, and the objects are there.
func notThere(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
