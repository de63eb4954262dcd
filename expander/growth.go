// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// NudgeAnnotation is put on the pod of a volume that waits for its node: the
// kubelet grows a file system only when it next syncs the pod, up to a minute
// later, and any change of the pod makes it do that at once. The value says
// which volume it was for; nobody reads it.
const NudgeAnnotation = "opsrelay.dev/resize-nudge"

// side is how many claims of one component are patched at once.
const side = 16

// growth is the growing of one component's volumes.
type growth struct {
	*Expander
	event     events.Event
	component events.Component
	namespace string
	size      resource.Quantity
	names     []string // the claims, in order

	// What was done already, so that a cache that lags behind our own writes
	// makes us do nothing twice. Losing it costs a needless request, no more.
	told   map[string]string // claim -> the stage last told
	asked  map[string]string // claim -> the version from which its request was raised
	nudged map[string]bool   // claim -> its pod was nudged

	// again gets a value when a claim has its turn that had to wait for it; nil
	// means that none has to. classes are the StorageClasses of the claims that
	// have a turn or wait for it.
	again   chan<- struct{}
	classes map[string]string
}

func newGrowth(x *Expander, e events.Event, component events.Component, size resource.Quantity) *growth {
	return &growth{
		Expander: x, event: e, component: component, size: size, namespace: e.Operation.Database.Namespace,
		told: map[string]string{}, asked: map[string]string{}, nudged: map[string]bool{}, classes: map[string]string{},
	}
}

// wait returns once every claim that exists has the size. It looks at the claims
// whenever one of them changed, and does what that calls for.
func (g *growth) wait(ctx context.Context) error {
	changed, stop := g.claims.subscribe(g.namespace, g.names)
	defer stop()
	g.again = changed
	defer g.leaveAll()
	for {
		done, err := g.look(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look brings each claim one stage on. done says that all have the size. What was
// begun for one claim has ended when it returns, also with an error about another:
// nothing is written once a failure is told.
func (g *growth) look(ctx context.Context) (done bool, err error) {
	done = true
	group, ctx := errgroup.WithContext(ctx)
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
func (g *growth) step(ctx context.Context, group *errgroup.Group, name string) (grown bool, _ error) {
	claim := g.claims.get(g.namespace, name)
	if claim == nil {
		// A claim that was never made, or was deleted, has nothing to grow: a new
		// one is made from the template.
		exists, err := g.exists(ctx, name)
		return err == nil && !exists, err
	}
	stage := stageOf(claim, g.size)
	g.tell(ctx, claim, stage)
	switch stage.name {
	case events.StateGrown:
		g.leave(name)
		return true, nil
	case stageInfeasibleController, stageInfeasibleNode:
		return false, g.infeasible(claim, stage)
	}
	if err := errors.Join(g.lost(claim), g.offlineOnly(claim)); err != nil {
		return false, err
	}
	if !g.hasTurn(claim) {
		return false, nil
	}
	if act := g.action(claim, stage); act != nil {
		group.Go(func() error { return act(ctx, claim) })
	}
	return false, nil
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

// hasTurn reports whether the claim may grow now. One that has been asked to grow
// already does, and Offline one volume of a workload grows at a time anyway.
func (g *growth) hasTurn(claim *corev1.PersistentVolumeClaim) bool {
	if g.again == nil {
		return true
	}
	name := classOf(claim)
	g.classes[claim.Name] = name
	if claim.Spec.Resources.Requests.Storage().Cmp(g.size) >= 0 {
		g.places.keep(name, g.namespace+"/"+claim.Name)
		return true
	}
	return g.places.take(name, g.namespace+"/"+claim.Name, g.again)
}

// leave ends a claim's turn, if it has one; leaveAll those of all.
func (g *growth) leave(claim string) {
	if name, ok := g.classes[claim]; ok {
		g.places.leave(name, g.namespace+"/"+claim)
		delete(g.classes, claim)
	}
}

func (g *growth) leaveAll() {
	for claim := range g.classes {
		g.leave(claim)
	}
}

func classOf(claim *corev1.PersistentVolumeClaim) string {
	if claim.Spec.StorageClassName == nil {
		return ""
	}
	return *claim.Spec.StorageClassName
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
func (g *growth) action(claim *corev1.PersistentVolumeClaim, stage stage) func(context.Context, *corev1.PersistentVolumeClaim) error {
	switch {
	case stage.name == events.StateRequested && claim.Status.Phase == corev1.ClaimBound &&
		claim.Spec.Resources.Requests.Storage().Cmp(g.size) < 0 && g.asked[claim.Name] != claim.ResourceVersion:
		g.asked[claim.Name] = claim.ResourceVersion
		return g.request
	case stage.name == stageNodePending && !g.nudged[claim.Name]:
		g.nudged[claim.Name] = true
		return g.nudge
	default:
		return nil
	}
}

// request raises the claim's storage request, unless somebody changed the claim
// since it was seen: then its change calls us again.
func (g *growth) request(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"uid": claim.UID, "resourceVersion": claim.ResourceVersion,
			"annotations": map[string]any{kubedb.AnnotationExpansions: kubedb.WithExpansion(claim, time.Now())},
		},
		"spec": map[string]any{"resources": map[string]any{"requests": map[string]any{"storage": g.component.To}}},
	})
	if err != nil {
		return fmt.Errorf("expand claim %s: %w", claim.Name, err)
	}
	_, err = g.core.CoreV1().PersistentVolumeClaims(g.namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	switch {
	case err == nil, apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return nil
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err) && strings.Contains(err.Error(), "must support resize"):
		return bus.Permanent(events.Failure{
			Step: "expand", Object: "PersistentVolumeClaim " + g.namespace + "/" + claim.Name,
			Reason: ReasonExpansionRefused, Message: err.Error(),
		})
	default:
		return fmt.Errorf("expand claim %s/%s: %w", g.namespace, claim.Name, err)
	}
}

// nudge makes the kubelet look at the pod of the claim now. Growing goes on
// without it, only later: so what goes wrong here is worth a line in the log.
func (g *growth) nudge(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	pod, ok := podOf(claim.Name, g.component.Workload)
	if !ok {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{NudgeAnnotation: claim.Name + "=" + g.component.To},
	}})
	if err != nil {
		return fmt.Errorf("nudge pod %s: %w", pod, err)
	}
	_, err = g.core.CoreV1().Pods(g.namespace).Patch(ctx, pod, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && ctx.Err() == nil {
		zerolog.Ctx(ctx).Warn().Str("pod", pod).Err(err).Msg("cannot nudge the pod: its volume grows when the kubelet next looks")
	}
	return nil
}

// podOf is the pod that a claim was made for: claims are named
// <template>-<workload>-<ordinal>, pods <workload>-<ordinal>.
func podOf(claim, workload string) (string, bool) {
	at := strings.LastIndex(claim, "-"+workload+"-")
	if at < 0 {
		return "", false
	}
	return claim[at+1:], true
}

func (g *growth) infeasible(claim *corev1.PersistentVolumeClaim, stage stage) error {
	message := stage.message
	if message == "" {
		message = "the storage cannot give this size"
	}
	return bus.Permanent(events.Failure{
		Step: "expand", Object: "PersistentVolumeClaim " + g.namespace + "/" + claim.Name,
		Reason: stage.name, Message: message,
	})
}

// tell publishes the progress of a claim whose stage is a new one.
func (g *growth) tell(ctx context.Context, claim *corev1.PersistentVolumeClaim, stage stage) {
	if g.told[claim.Name] == stage.name {
		return
	}
	g.told[claim.Name] = stage.name
	g.progress(ctx, g.event.ChainKey(), events.Progress{
		Time: time.Now().UTC(), Request: g.event.Operation.Request, Component: g.component.Name, Claim: claim.Name,
		Capacity: claim.Status.Capacity.Storage().String(), To: g.component.To, State: stage.name, Message: stage.message,
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
