// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/safely"
)

// side is how many claims of one component are patched at once.
const side = 16

// growth is the growing of one component's volumes.
type growth struct {
	*Expander
	event     events.Event
	component events.Component
	namespace string
	size      resource.Quantity
	set       *kubedb.Workload // nil until it is known
	names     []string         // the claims, in order
	// asks says that claims may be asked to grow; Offline that is while their volumes
	// are released.
	asks bool

	// done is what was done already for each claim, grown how many were told to have
	// grown.
	done  map[string]*done
	grown int
	// refused says of the claims whose storage cannot give the size why; only a
	// request that recovers goes on with them.
	refused map[string]events.Failure
	// answered says that somebody was seen to work on a claim, patienceOver that
	// somebody should have been by now, which patience tells: it is nil until a
	// claim was asked.
	answered, patienceOver bool
	patience               <-chan time.Time

	// again gets a value when a claim has its turn that had to wait for it; nil
	// means that none has to. classes are the StorageClasses of the claims that
	// have a turn or wait for it.
	again   chan<- struct{}
	classes map[string]string
}

// done is what was done already for a claim, so that a cache that lags behind our
// own writes makes us do nothing twice. Losing it costs a needless request, no
// more. It belongs to step, and to what step began for the claim.
type done struct {
	told   stage  // the stage last told
	asked  string // the version from which its request was last changed
	nudged string // the size for which its pod was nudged
	// nodeRefusals is how often its node had refused when this growth began.
	nodeRefusals int
}

func newGrowth(x *Expander, e events.Event, component events.Component, size resource.Quantity) *growth {
	return &growth{
		Expander: x, event: e, component: component, size: size, namespace: e.Operation.Database.Namespace,
		asks: e.Operation.Mode != events.Offline,
		done: map[string]*done{}, refused: map[string]events.Failure{}, classes: map[string]string{},
	}
}

// wait returns true once every claim that exists has the size, or will not have it
// in a request that recovers, and false when the workload may have other claims by
// now. It looks at the claims whenever one of them changed, and does what that
// calls for.
func (g *growth) wait(ctx context.Context, scaled <-chan struct{}) (done bool, err error) {
	changed, stop := g.claims.subscribe(g.namespace, g.names...)
	defer stop()
	g.again = changed
	defer g.leaveAll()
	for {
		if done, err = g.look(ctx); done || err != nil {
			return done, err
		}
		select {
		case <-changed:
		case <-scaled:
			return false, nil
		case <-g.patience:
			g.patienceOver = true
		case <-ctx.Done():
			return false, g.atDeadline(ctx, context.Cause(ctx))
		}
	}
}

// look brings each claim one stage on. done says that nothing is left to do. What was
// begun for one claim has ended when it returns, also with an error about another:
// nothing is written once a failure is told.
func (g *growth) look(ctx context.Context) (done bool, err error) {
	done = true
	group, ctx := safely.NewGroup(ctx)
	group.SetLimit(side)
	for _, name := range g.names {
		grown, stepErr := g.step(ctx, group, name)
		done = done && grown
		if stepErr != nil {
			err = stepErr
			break
		}
	}
	if waitErr := group.Wait(); err == nil {
		err = waitErr
	}
	return done && err == nil, err
}

// step looks at one claim, and begins in the group what it needs.
func (g *growth) step(ctx context.Context, group *safely.Group, name string) (grown bool, _ error) {
	claim := g.claims.get(g.namespace, name)
	if claim == nil {
		// A claim that was never made, or was deleted, has nothing to grow: a new
		// one is made from the template.
		exists, err := g.exists(ctx, name)
		return err == nil && !exists, err
	}
	if err := g.set.CheckClaim(claim); err != nil {
		return false, g.notOwned(claim, err)
	}
	stage := g.silence(claim, stageOf(claim, g.size))
	if !g.takenBack(claim) {
		g.tell(ctx, claim, stage)
	}
	switch {
	case stage.name == events.StateGrown:
		delete(g.refused, name)
		g.leave(name)
		return true, nil
	case g.refuses(claim, stage):
		return g.giveUp(ctx, group, claim, stage)
	}
	if err := errors.Join(g.lost(claim), g.refusedOnline(ctx, claim)); err != nil {
		return false, err
	}
	if !g.hasTurn(claim) {
		return false, nil
	}
	if do := g.action(claim, stage); do != nil {
		g.begin(ctx, group, claim, do)
	}
	return false, nil
}

// act is what a claim needs. It is done beside what others need.
type act func(ctx context.Context, claim *corev1.PersistentVolumeClaim, did *done) error

// begin begins in the group what the claim needs.
func (g *growth) begin(ctx context.Context, group *safely.Group, claim *corev1.PersistentVolumeClaim, do act) {
	did := g.of(claim)
	group.Go(func() error { return do(ctx, claim, did) })
}

// notOwned is the failure of a claim that has the name of the workload's and is
// somebody else's.
func (g *growth) notOwned(claim *corev1.PersistentVolumeClaim, err error) error {
	return bus.Permanent(events.Failure{
		Step: "expand", Object: "PersistentVolumeClaim " + g.namespace + "/" + claim.Name, Reason: ReasonClaimNotOwned,
		Message: err.Error() + "; it is left alone",
	})
}

// lost fails for a claim that will never grow: its volume is gone, or it is being
// deleted.
func (g *growth) lost(claim *corev1.PersistentVolumeClaim) error {
	failure := events.Failure{Step: "expand", Object: "PersistentVolumeClaim " + g.namespace + "/" + claim.Name}
	switch {
	case claim.DeletionTimestamp != nil:
		failure.Reason = ReasonClaimTerminating
		failure.Message = "the claim is being deleted, it will not grow; ask again when a new one is there"
	case claim.Status.Phase == corev1.ClaimLost:
		failure.Reason = ReasonClaimLost
		failure.Message = "the claim has lost its volume: kubectl describe says which"
	default:
		return nil
	}
	return bus.Permanent(failure)
}

// exists asks the API server for a claim that the view does not have: the view
// may lag behind.
func (g *growth) exists(ctx context.Context, name string) (bool, error) {
	_, err := g.core.CoreV1().PersistentVolumeClaims(g.namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("expand claim %s/%s: %w", g.namespace, name, err)
	}
	return true, nil
}

// action is what a claim in this stage needs from us, or nil: mostly it needs
// nothing but time.
func (g *growth) action(claim *corev1.PersistentVolumeClaim, stage stage) act {
	asked := claim.Spec.Resources.Requests.Storage()
	switch {
	case claim.Status.Phase != corev1.ClaimBound:
		return nil
	case g.asks && asked.Cmp(g.size) < 0 && (stage.name == events.StateRequested || stage.first != ""):
		return g.request
	case g.asks && stage.name == stageInfeasibleController: // of an earlier request
		return g.askAnew(claim)
	case g.nudges(claim, stage):
		return g.nudge
	default:
		return nil
	}
}

// of is what was done for the claim. It is for step, and not for what it begins.
func (g *growth) of(claim *corev1.PersistentVolumeClaim) *done {
	if g.done[claim.Name] == nil {
		g.done[claim.Name] = &done{nodeRefusals: g.claims.refusalsByNode(claim)}
	}
	return g.done[claim.Name]
}

// tell publishes the progress of a claim whose stage, or what is said of it, is a new
// one.
func (g *growth) tell(ctx context.Context, claim *corev1.PersistentVolumeClaim, stage stage) {
	did := g.of(claim)
	if did.told == stage {
		return
	}
	switch {
	case stage.name == did.told.name:
	case stage.name == events.StateGrown:
		g.grown++
	case did.told.name == events.StateGrown:
		g.grown--
	}
	did.told = stage
	switch stage.name {
	case events.StateRequested, events.StateNoResizer, events.StateGrown:
	default:
		g.answered = true
	}
	g.progress(ctx, g.event.ChainKey(), events.Progress{
		Time: time.Now().UTC(), Request: g.event.Operation.Request, Component: g.component.Name, Claim: claim.Name,
		Capacity: claim.Status.Capacity.Storage().String(), To: g.component.To, State: stage.name, Message: stage.message,
		Grown: g.grown, Volumes: len(g.names),
	})
}

// volumes lists the claims with their capacity as it is now.
func (g *growth) volumes() []events.Volume {
	var volumes []events.Volume
	for _, name := range g.names {
		if claim := g.claims.get(g.namespace, name); claim != nil {
			volumes = append(volumes, events.Volume{Claim: name, Capacity: claim.Status.Capacity.Storage().String()})
		}
	}
	return volumes
}
