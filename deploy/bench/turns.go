// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// floor grows every volume with as little as it takes.
func (b *bench) floor(ctx context.Context, race *race) (*round, error) {
	goal := gibibytes(b.size + 1)
	var mu sync.Mutex
	missing := map[string]map[string]bool{}
	for name, claims := range b.claims {
		missing[name] = map[string]bool{}
		for _, claim := range claims {
			missing[name][claim] = true
		}
	}
	stop := b.view.onClaim(func(claim *corev1.PersistentVolumeClaim) {
		name, ours := b.owner[claim.Name]
		if !ours || claim.Status.Capacity.Storage().Cmp(goal) < 0 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if delete(missing[name], claim.Name); len(missing[name]) == 0 {
			race.end(name)
		}
	})
	defer stop()

	patch := fmt.Appendf(nil, `{"spec":{"resources":{"requests":{"storage":%q}}}}`, goal.String())
	type target struct {
		database, claim string
		first           bool
	}
	var targets []target
	for _, name := range b.names() {
		for i, claim := range b.claims[name] {
			targets = append(targets, target{name, claim, i == 0})
		}
	}
	err := each(ctx, targets, func(ctx context.Context, t target) error {
		if t.first {
			race.begin(t.database)
		}
		_, err := b.stack.Clients.Core.CoreV1().PersistentVolumeClaims(namespace).Patch(ctx, t.claim, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &round{}, race.wait(ctx, fmt.Sprintf("N=%d: floor", b.n))
}

// relay asks Opsrelay to grow every database.
func (b *bench) relay(ctx context.Context, race *race) (*round, error) {
	goal := gibibytes(b.size + 1)
	stop := b.view.onRequest(func(request *kubedb.SinglestoreOpsRequest) {
		switch {
		case request.DeletionTimestamp != nil || !request.Status.Phase.Terminal():
		case request.Status.Phase == kubedb.OpsSuccessful:
			race.end(request.Name)
		default:
			race.fail(fmt.Errorf("request %s is %s: %+v", request.Name, request.Status.Phase, request.Status.Conditions))
		}
	})
	defer stop()

	var mu sync.Mutex
	created := map[string]time.Time{}
	err := each(ctx, b.names(), func(ctx context.Context, name string) error {
		race.begin(name)
		now := time.Now()
		request, err := b.stack.Clients.KubeDB.SinglestoreOpsRequests(namespace).Create(ctx, b.shape.request(name, goal), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		created[string(request.UID)] = now
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := race.wait(ctx, fmt.Sprintf("N=%d: opsrelay", b.n)); err != nil {
		return nil, err
	}
	stages, err := b.stages(ctx, created, race)
	return &round{Stages: stages}, err
}

// forgetRequests deletes the requests of a round, so that the next may have the
// same names.
func (b *bench) forgetRequests(ctx context.Context) error {
	race := newRace(b.n)
	stop := b.view.onRequest(func(request *kubedb.SinglestoreOpsRequest) {
		if _, exists, _ := b.view.requests.GetStore().Get(request); !exists {
			race.end(request.Name)
		}
	})
	defer stop()
	if len(b.view.requests.GetStore().ListKeys()) == 0 {
		return nil
	}
	for _, name := range b.names() {
		race.begin(name)
	}
	client := b.stack.Clients.KubeDB.SinglestoreOpsRequests(namespace)
	if err := client.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return err
	}
	if err := race.wait(ctx, "requests deleted"); err != nil {
		return err
	}
	return b.view.quiet(ctx)
}

// Where the time of a request goes: until each of its facts was said, and until
// its status said so.
const stageSeen = "status"

// stages reads from the facts' own times how long each stage took.
func (b *bench) stages(ctx context.Context, created map[string]time.Time, race *race) ([]stage, error) {
	times := map[string][]time.Duration{}
	chain := b.bus.Chain("bench")
	var mu sync.Mutex
	err := each(ctx, slices.Collect(maps.Keys(created)), func(ctx context.Context, uid string) error {
		last, err := chain.Last(ctx, events.ChainKey{Kind: "singlestore", Namespace: namespace, UID: uid})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		before := created[uid]
		for _, passed := range last.Operation.History {
			times[string(passed.Fact)] = append(times[string(passed.Fact)], passed.Time.Sub(before))
			before = passed.Time
		}
		name := last.Operation.Request.Name
		times[stageSeen] = append(times[stageSeen], race.began[name].Add(race.took[name]).Sub(before))
		return nil
	})
	if err != nil {
		return nil, err
	}
	var stages []stage
	for _, name := range []string{string(events.Requested), string(events.Paused), string(events.Expanded), string(events.Updated), string(events.Resumed), stageSeen} {
		list := times[name]
		slices.Sort(list)
		stages = append(stages, stage{Name: name, P50: seconds(percentile(list, 50)), P95: seconds(percentile(list, 95))})
	}
	return stages, nil
}

// streams lists the streams of the broker.
func streams(ctx context.Context, b *bus.Bus) iter.Seq[*jetstream.StreamInfo] {
	return func(yield func(*jetstream.StreamInfo) bool) {
		list := b.JetStream().ListStreams(ctx)
		for info := range list.Info() {
			if !yield(info) {
				return
			}
		}
	}
}
