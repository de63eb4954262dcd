// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package pauser takes and gives back the pause of a database.
//
// A paused database is left alone by its provisioner. The pause is KubeDB's own
// mark: a True Paused condition in the database's status, whose message names
// the request that owns it. The pauser takes it by compare-and-swap, never takes
// over and never removes somebody else's, and removes its own whatever happened
// in between.
//
// It consumes requested, and updated, failed and cancelled; it publishes paused,
// and resumed. In Kubernetes it writes the status of databases and nothing else.
package pauser

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Pauser is the step of this service.
type Pauser struct {
	client    *kubedb.Client
	databases *Databases
}

// New returns the step. The client needs get, list and watch on databases and
// patch on their status.
func New(client *kubedb.Client, databases *Databases) *Pauser {
	return &Pauser{client: client, databases: databases}
}

// Handle answers requested with paused, and what ends the work with resumed.
func (p *Pauser) Handle(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
	if e.Fact == events.Requested {
		if err := p.pause(ctx, e.Operation, confirm); err != nil {
			return events.Event{}, err
		}
		return e.Next(events.Paused), nil
	}
	if err := p.resume(ctx, e.Operation); err != nil {
		return events.Event{}, err
	}
	return e.Next(events.Resumed), nil
}

// Release takes the pause back when it was taken for a request that had ended
// meanwhile. While the request goes on, the pause is still needed.
func (p *Pauser) Release(ctx context.Context, e, last events.Event) error {
	switch last.Fact {
	case events.Failed, events.Cancelled, events.Resumed:
		return p.resume(ctx, e.Operation)
	default:
		return nil
	}
}

// pause returns once the database is paused by this request. A database that is
// seen without a pause is paused without reading it.
func (p *Pauser) pause(ctx context.Context, op events.Operation, confirm bus.Confirm) error {
	owner := ownerOf(op)
	if db := p.databases.of(op); db != nil && !kubedb.IsPaused(db) && db.DeletionTimestamp == nil {
		if err := p.take(ctx, db, owner, confirm); !outdated(err) {
			return err
		}
	}
	for {
		db, err := p.client.Singlestores(op.Database.Namespace).Get(ctx, op.Database.Name, metav1.GetOptions{})
		if gone(db, err, op) {
			return bus.Permanent(events.Failure{
				Step: "pause", Object: object(op), Reason: kubedb.ReasonDatabaseGone,
				Message: "the database was deleted after its request was admitted; create a new request if there is a new database",
			})
		}
		if err != nil {
			return fmt.Errorf("pause %s: %w", object(op), err)
		}
		holder, paused := kubedb.PausedBy(db)
		switch {
		case db.DeletionTimestamp != nil:
			return bus.Permanent(events.Failure{
				Step: "pause", Object: object(op), Reason: kubedb.ReasonDatabaseTerminating, Message: "the database is being deleted",
			})
		case paused && holder == owner:
			return nil
		case paused:
			if err := p.waitFree(ctx, db); err != nil {
				return err
			}
		default:
			if err := p.take(ctx, db, owner, confirm); !outdated(err) {
				return err
			}
		}
	}
}

// take pauses the database, unless its request has ended: a worker that was frozen
// must not.
func (p *Pauser) take(ctx context.Context, db *kubedb.Singlestore, owner kubedb.Owner, confirm bus.Confirm) error {
	if err := confirm(ctx); err != nil {
		return err
	}
	conditions := kubedb.SetCondition(db.Status.Conditions, kubedb.PauseCondition(owner, db.Generation))
	patch, err := kubedb.StatusPatch(db, map[string]any{"conditions": conditions})
	if err != nil {
		return err
	}
	return p.write(ctx, db, types.MergePatchType, patch)
}

// resume returns once the database is not paused by this request. A database that
// is seen paused by it is resumed without reading it.
func (p *Pauser) resume(ctx context.Context, op events.Operation) error {
	owner := ownerOf(op)
	if db := p.databases.of(op); db != nil && pausedBy(db, owner) {
		if err := p.giveBack(ctx, db); !outdated(err) {
			return err
		}
	}
	for {
		db, err := p.client.Singlestores(op.Database.Namespace).Get(ctx, op.Database.Name, metav1.GetOptions{})
		if gone(db, err, op) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("resume %s: %w", object(op), err)
		}
		if !pausedBy(db, owner) {
			return nil
		}
		if err := p.giveBack(ctx, db); !outdated(err) {
			return err
		}
	}
}

// giveBack removes the condition of our pause, if it still is where it was. What
// else is changed in the database meanwhile does not matter: the updater has just
// written to it.
func (p *Pauser) giveBack(ctx context.Context, db *kubedb.Singlestore) error {
	patch, err := kubedb.ConditionRemovalPatch(db, db.Status.Conditions, kubedb.ConditionPaused)
	if err != nil {
		return err
	}
	return p.write(ctx, db, types.JSONPatchType, patch)
}

// write patches the database's status. Where the database is not any more what the
// patch was made for, the error is [outdated].
func (p *Pauser) write(ctx context.Context, db *kubedb.Singlestore, how types.PatchType, patch []byte) error {
	_, err := p.client.Singlestores(db.Namespace).Patch(ctx, db.Name, how, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("write the pause of Singlestore %s/%s: %w", db.Namespace, db.Name, err)
	}
	return nil
}

// outdated reports whether a write was refused because the database is not any
// more what it was taken for, and has to be read. A test that fails in a JSON
// patch makes it invalid.
func outdated(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsInvalid(err)
}

// waitFree returns once somebody else's pause is gone, or the database is.
func (p *Pauser) waitFree(ctx context.Context, db *kubedb.Singlestore) error {
	condition := kubedb.FindCondition(db.Status.Conditions, kubedb.ConditionPaused)
	zerolog.Ctx(ctx).Info().Str("database", db.Name).Str("pause", condition.Message).Msg("waiting for somebody else's pause")
	err := p.client.WaitSinglestore(ctx, db.Namespace, db.Name, func(now *kubedb.Singlestore) bool {
		return now == nil || now.UID != db.UID || now.DeletionTimestamp != nil || !kubedb.IsPaused(now)
	})
	if err != nil {
		return fmt.Errorf("the database is paused by somebody else (%q): take that pause back, or let it end: %w", condition.Message, err)
	}
	return nil
}

// gone reports whether the database that the request was admitted for does not
// exist any more. A request that was never admitted knows no uid.
func gone(db *kubedb.Singlestore, err error, op events.Operation) bool {
	return apierrors.IsNotFound(err) || err == nil && op.Database.UID != "" && string(db.UID) != op.Database.UID
}

func pausedBy(db *kubedb.Singlestore, owner kubedb.Owner) bool {
	holder, paused := kubedb.PausedBy(db)
	return paused && holder == owner
}

func ownerOf(op events.Operation) kubedb.Owner {
	r := op.Request
	return kubedb.Owner{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, UID: types.UID(r.UID)}
}

func object(op events.Operation) string {
	return op.Database.Kind + " " + op.Database.Namespace + "/" + op.Database.Name
}
