// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"slices"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

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
