// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// planTimeout is how long a visitor waits for a plan at most.
const planTimeout = 15 * time.Second

// plan answers with the plan of the request that is named, as it is now: what is
// left to do, which pods that restarts, and what stands in the way. It is made
// with the board's own rights, and says what it could not look at.
func (b *Board) plan(w http.ResponseWriter, r *http.Request) {
	key := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	object, there, err := b.requests.GetStore().GetByKey(key.String())
	if err != nil || !there {
		http.Error(w, "there is no such request", http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), planTimeout)
	defer cancel()
	p, err := b.makePlan(ctx, object.(*kubedb.SinglestoreOpsRequest))
	switch {
	case apierrors.IsForbidden(err):
		// No failure: the board has the rights that it was given.
		p.Verdict, p.Restarts, p.Components = "not known", []string{}, []plan.Component{}
		p.Findings = []plan.Finding{{
			Severity: plan.Warning, Reason: "BoardMayNotLook",
			Message: fmt.Sprintf("the board may not read databases; with your own rights: opsrelay plan %s", key),
		}}
	case err != nil:
		zerolog.Ctx(ctx).Warn().Stringer("request", key).Err(err).Msg("no plan for the board")
		http.Error(w, "no plan can be made now: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	text, err := json.Marshal(p)
	if err != nil {
		http.Error(w, "the plan cannot be written: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // a visitor who has left misses nothing
}

func (b *Board) makePlan(ctx context.Context, request *kubedb.SinglestoreOpsRequest) (plan.Plan, error) {
	planner := plan.Planner{Client: b.cfg.Client, Core: b.cfg.Core, Policy: b.cfg.Policy}
	p, err := planner.Make(ctx, request)
	if err == nil {
		err = planner.Queue(ctx, &p, request)
	}
	return p, err
}
