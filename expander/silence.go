// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// resizerPatience is how long nobody may work on any claim of a component before
// it is said that there seems to be no resizer.
const resizerPatience = 10 * time.Second

// silence is the stage of a claim that was asked for the size long ago, while
// nobody was seen to work on it or another of its component; else it is the stage
// that is given.
func (g *growth) silence(claim *corev1.PersistentVolumeClaim, s stage) stage {
	if g.answered || s.name != events.StateRequested || claim.Status.Phase != corev1.ClaimBound ||
		claim.Spec.Resources.Requests.Storage().Cmp(g.size) < 0 {
		return s
	}
	if g.patience == nil {
		g.patience = time.After(resizerPatience)
	}
	if !g.patienceOver {
		return s
	}
	return stage{name: events.StateNoResizer, message: fmt.Sprintf(
		"nobody has reacted to the larger request of claim %s/%s for %s: the storage driver needs an external-resizer that runs, and has to announce EXPAND_VOLUME",
		g.namespace, claim.Name, resizerPatience)}
}

// atDeadline makes a deadline that passed the failure that explains it: a storage
// that refused before, or nobody who reacted.
func (g *growth) atDeadline(ctx context.Context, err error) error {
	if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	for _, name := range g.names {
		if refusal, refused := g.refused[name]; refused {
			return bus.Permanent(refusal)
		}
	}
	for _, name := range g.names {
		claim := g.claims.get(g.namespace, name)
		if claim == nil {
			continue
		}
		if s := g.silence(claim, stageOf(claim, g.size)); s.name == events.StateNoResizer {
			return bus.Permanent(events.Failure{
				Step: "expand", Object: "PersistentVolumeClaim " + g.namespace + "/" + name, Reason: s.name, Message: s.message,
			})
		}
	}
	return err
}
