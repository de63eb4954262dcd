// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// Config says what a board shows.
type Config struct {
	// Client reads the requests, JetStream the facts.
	Client    *kubedb.Client
	JetStream jetstream.JetStream
	// Core reads what a plan is made of, by the Policy of the watcher.
	Core   kubernetes.Interface
	Policy plan.Policy
	// Namespace limits what is shown; empty means all.
	Namespace string
	// Since is how far back the history goes.
	Since time.Duration
	// Token returns what a visitor must know, read each time, so that it can be
	// changed; nil lets everybody in.
	Token func() (string, error)
}

// Board is a running board.
type Board struct {
	cfg      Config
	track    *track
	requests cache.SharedIndexInformer
}

// New returns a board that shows nothing until it runs.
func New(cfg Config) (*Board, error) {
	b := &Board{cfg: cfg, track: newTrack(), requests: cfg.Client.SinglestoreOpsRequestInformer(cfg.Namespace)}
	_, err := b.requests.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { b.see(object) },
		UpdateFunc: func(_, object any) { b.see(object) },
		DeleteFunc: b.lose,
	})
	if err != nil {
		return nil, fmt.Errorf("board: watch requests: %w", err)
	}
	return b, nil
}

// HasSynced reports whether the requests have been listed.
func (b *Board) HasSynced() bool { return b.requests.HasSynced() }

// Run follows requests, facts and progress until the context ends.
func (b *Board) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { b.requests.RunWithContext(ctx); return nil })
	group.Go(func() error {
		from := events.Subscription{Filter: events.Filter{Namespace: b.cfg.Namespace}, Since: time.Now().Add(-b.cfg.Since)}
		return events.Subscribe(ctx, b.cfg.JetStream, from, func(_ context.Context, e events.Event) error {
			b.track.change(e.Operation.Request.UID, func(baton *Baton) { baton.hear(e) })
			return nil
		})
	})
	group.Go(func() error {
		return events.FollowProgress(ctx, b.cfg.JetStream, func(p events.Progress) {
			// Of a request that nobody else has told of there is nothing to show.
			b.track.known(p.Request.UID, func(baton *Baton) { baton.grow(p) })
		})
	})
	return group.Wait()
}

func (b *Board) see(object any) {
	request := object.(*kubedb.SinglestoreOpsRequest)
	b.track.change(string(request.UID), func(baton *Baton) { baton.see(request) })
}

func (b *Board) lose(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if request, ok := object.(*kubedb.SinglestoreOpsRequest); ok {
		b.track.change(string(request.UID), func(baton *Baton) { baton.Deleted = true })
	}
}
