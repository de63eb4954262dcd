// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package pauser

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/control"
)

// again is when a database is looked at again whose pause is needed.
const again = time.Minute

// Sweeper takes back the pauses of requests whose chains have ended. The step does
// so itself; this is for a worker that was frozen between its last look at the
// chain and its write, and died right after it, when others had answered for it.
type Sweeper struct {
	pauser *Pauser
	last   func(context.Context, events.ChainKey) (events.Event, error)
	loop   *control.Loop
}

// NewSweeper returns a sweeper of the databases that the pauser sees. last reads the
// end of a chain.
func NewSweeper(p *Pauser, last func(context.Context, events.ChainKey) (events.Event, error)) (*Sweeper, error) {
	k := &Sweeper{pauser: p, last: last}
	k.loop = control.New("pauses", 1, k.sync)
	return k, k.loop.Watch(p.databases.informer, func(object any) []types.NamespacedName {
		db, ok := object.(*kubedb.Singlestore)
		if !ok || !kubedb.IsPaused(db) {
			return nil
		}
		return []types.NamespacedName{{Namespace: db.Namespace, Name: db.Name}}
	})
}

// Run keeps until the context ends.
func (k *Sweeper) Run(ctx context.Context) error { return k.loop.Run(ctx) }

// sync resumes a database whose request has ended, or comes back later. A chain
// that the broker has lost is the watcher's to begin again.
func (k *Sweeper) sync(ctx context.Context, key types.NamespacedName) error {
	db := k.pauser.databases.get(key.Namespace, key.Name)
	if db == nil {
		return nil
	}
	owner, paused := kubedb.PausedBy(db)
	if !paused || owner.IsZero() || owner.Namespace != key.Namespace {
		return nil // somebody else's
	}
	last, err := k.last(ctx, events.ChainKey{
		Kind: strings.ToLower(strings.TrimSuffix(owner.Kind, "OpsRequest")), Namespace: owner.Namespace, UID: string(owner.UID),
	})
	switch {
	case err != nil && !errors.Is(err, bus.ErrNoChain):
		return err
	case err != nil, !last.Fact.Ends():
		k.loop.AddAfter(key, again)
		return nil
	}
	zerolog.Ctx(ctx).Warn().Stringer("database", key).Str("request", owner.Namespace+"/"+owner.Name).Msg("database is paused for a request that has ended, resuming it")
	return k.pauser.resume(ctx, last.Operation)
}
