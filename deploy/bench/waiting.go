// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/opsrelay/opsrelay/deploy/cluster"
)

// waiting measures what the relay costs while all it has to do is wait: every
// request is under way, every claim has asked for its size, and the storage does
// not answer. Once that is measured it answers, and the requests end.
func (b *bench) waiting(ctx context.Context) (cost, error) {
	var seen cost
	if err := b.stack.Cluster.SetFault(ctx, cluster.AllVolumes, cluster.Fault{Never: true}); err != nil {
		return cost{}, err
	}
	asking, stop := b.asking()
	defer stop()
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := b.relay(running, newRace(b.n))
		return err
	})
	group.Go(func() error {
		if err := asking.wait(running, fmt.Sprintf("N=%d: volumes asked for", b.n)); err != nil {
			return err
		}
		if err := b.view.quiet(running); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "  N=%d: looking at the relay for %s while it waits\n", b.n, b.waitFor)
		var err error
		if seen, err = b.lookFor(running, b.waitFor); err != nil {
			return err
		}
		return b.stack.Cluster.ClearFault(running, cluster.AllVolumes)
	})
	if err := group.Wait(); err != nil {
		return cost{}, fmt.Errorf("requests that wait: %w", err)
	}
	b.size++
	return seen, b.forgetRequests(ctx)
}

// asking is over once every claim that grows has asked for its next size.
func (b *bench) asking() (_ *race, stop func()) {
	goal, asking := gibibytes(b.size+1), newRace(len(b.owner))
	for claim := range b.owner {
		asking.begin(claim)
	}
	return asking, b.view.onClaim(func(claim *corev1.PersistentVolumeClaim) {
		if claim.Spec.Resources.Requests.Storage().Cmp(goal) >= 0 {
			asking.end(claim.Name)
		}
	})
}
