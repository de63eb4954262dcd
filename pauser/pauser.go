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

// ReasonDatabaseGone says that the database was deleted, or replaced by another
// of the same name, while its request was under way.
const ReasonDatabaseGone = "DatabaseGone"

// Pauser is the step of this service.
type Pauser struct {
	client *kubedb.Client
}

// New returns the step. The client needs get, list and watch on databases and
// patch on their status.
func New(client *kubedb.Client) *Pauser { return &Pauser{client: client} }

// Handle answers requested with paused, and what ends the work with resumed.
func (p *Pauser) Handle(ctx context.Context, e events.Event) (events.Event, error) {
	if e.Fact == events.Requested {
		if err := p.pause(ctx, e.Operation); err != nil {
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

// pause returns once the database is paused by this request.
func (p *Pauser) pause(ctx context.Context, op events.Operation) error {
	owner := ownerOf(op)
	for {
		db, err := p.client.Singlestores(op.Database.Namespace).Get(ctx, op.Database.Name, metav1.GetOptions{})
		if gone(db, err, op) {
			return bus.Permanent(events.Failure{
				Step: "pause", Object: object(op), Reason: ReasonDatabaseGone,
				Message: "the database was deleted after its request was admitted; create a new request if there is a new database",
			})
		}
		if err != nil {
			return fmt.Errorf("pause %s: %w", object(op), err)
		}
		holder, paused := kubedb.PausedBy(db)
		switch {
		case paused && holder == owner:
			return nil
		case paused:
			if err := p.waitFree(ctx, db); err != nil {
				return err
			}
		default:
			// A worker that was frozen must not pause for a request that has ended.
			if err := bus.Confirm(ctx); err != nil {
				return err
			}
			err := p.write(ctx, db, kubedb.SetCondition(db.Status.Conditions, kubedb.PauseCondition(owner, db.Generation)))
			if !apierrors.IsConflict(err) {
				return err
			}
		}
	}
}

// resume returns once the database is not paused by this request.
func (p *Pauser) resume(ctx context.Context, op events.Operation) error {
	owner := ownerOf(op)
	for {
		db, err := p.client.Singlestores(op.Database.Namespace).Get(ctx, op.Database.Name, metav1.GetOptions{})
		if gone(db, err, op) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("resume %s: %w", object(op), err)
		}
		if holder, paused := kubedb.PausedBy(db); !paused || holder != owner {
			return nil
		}
		err = p.write(ctx, db, kubedb.RemoveCondition(db.Status.Conditions, kubedb.ConditionPaused))
		if !apierrors.IsConflict(err) {
			return err
		}
	}
}

// write replaces the conditions if nobody changed the database since it was
// read. A conflict is the caller's to try again.
func (p *Pauser) write(ctx context.Context, db *kubedb.Singlestore, conditions []kubedb.Condition) error {
	patch, err := kubedb.StatusPatch(db, map[string]any{"conditions": conditions})
	if err != nil {
		return err
	}
	_, err = p.client.Singlestores(db.Namespace).Patch(ctx, db.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsConflict(err) {
		return err
	}
	if err != nil {
		return fmt.Errorf("write the pause of Singlestore %s/%s: %w", db.Namespace, db.Name, err)
	}
	return nil
}

// waitFree returns once somebody else's pause is gone, or the database is.
func (p *Pauser) waitFree(ctx context.Context, db *kubedb.Singlestore) error {
	condition := kubedb.FindCondition(db.Status.Conditions, kubedb.ConditionPaused)
	zerolog.Ctx(ctx).Info().Str("database", db.Name).Str("pause", condition.Message).Msg("waiting for somebody else's pause")
	err := p.client.WaitSinglestore(ctx, db.Namespace, db.Name, func(now *kubedb.Singlestore) bool {
		return now == nil || now.UID != db.UID || !kubedb.IsPaused(now)
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

func ownerOf(op events.Operation) kubedb.Owner {
	r := op.Request
	return kubedb.Owner{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, UID: types.UID(r.UID)}
}

func object(op events.Operation) string {
	return op.Database.Kind + " " + op.Database.Namespace + "/" + op.Database.Name
}
