// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// place finds the request's place. It is a matter of order only: should two
// watchers see different lists, the pause of the database still lets one request
// at a time work on it.
func (w *Watcher) place(ctx context.Context, request *kubedb.SinglestoreOpsRequest) (plan.Place, error) {
	all := w.unfinishedOf(databaseKey(request))
	for i, other := range all {
		if other.UID == request.UID || !plan.Pending(other) {
			continue
		}
		// Its status may lag behind its chain.
		last, err := w.Chain.Last(ctx, chainKey(other))
		switch {
		case errors.Is(err, bus.ErrNoChain):
		case err != nil:
			return plan.Place{}, err
		case !last.Fact.Ends():
			all[i] = other.DeepCopy()
			all[i].Status.Phase = kubedb.OpsProgressing
		}
	}
	return plan.PlaceOf(request, all), nil
}
