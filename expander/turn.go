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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// needs are what the claims of one pod need, each for its growth.
type needs map[need]bool

// turn is what the next move in the turn of a pod follows from.
type turn struct {
	pod     *corev1.Pod // nil if there is none
	needs   needs
	request events.Reference
	// user says which other pod uses a claim of the pod, attached which volume of it is
	// attached to a node; "" if none does, or is.
	user, attached string
}

// move is what is to be done for a pod.
type move string

const (
	moveOn      move = "on"       // to the next pod: this one is free, and its volumes grow by themselves or have grown
	moveWait    move = "wait"     // until something changes
	moveLetNode move = "let node" // finish an earlier growth to less
	moveHold    move = "hold"
	moveEvict   move = "evict"
	moveGrow    move = "grow" // the volumes are released
	moveRelease move = "release"
)

// decide returns the next move, and what it waits for, if somebody may have to do
// something about that. A pod is held only while that can help: while the storage has
// a part to do, and nothing but the pod stands in its way.
func decide(t turn, now time.Time) (move, wait) {
	held := t.pod != nil && holds(t.pod)
	switch {
	case !t.needs[needRelease] && held:
		return moveRelease, wait{}
	case !t.needs[needRelease] && t.needs[needNodeFirst]:
		return moveLetNode, wait{}
	case !t.needs[needRelease]:
		return moveOn, wait{}
	case t.user != "" && held:
		return moveRelease, wait{reason: events.StateClaimInUse, message: t.user}
	case t.user != "":
		return moveWait, wait{reason: events.StateClaimInUse, message: t.user}
	case t.needs[needNodeFirst] && !held:
		return moveLetNode, wait{}
	case t.needs[needNodeFirst] && t.pod.DeletionTimestamp == nil:
		return moveRelease, wait{}
	case t.pod == nil, t.pod.Spec.NodeName == "" && !held:
		return moveGrow, wait{} // nothing uses the volumes
	case t.pod.DeletionTimestamp != nil && !held:
		return moveWait, ending(t.pod, now) // too late to hold it; its successor is looked at
	case !heldFor(t.pod, t.request):
		return moveHold, wait{}
	case t.pod.DeletionTimestamp == nil:
		return moveEvict, wait{}
	case !dead(t.pod):
		return moveWait, ending(t.pod, now)
	case t.attached != "":
		return moveWait, wait{reason: events.StateVolumeAttached, message: t.attached}
	default:
		return moveGrow, wait{}
	}
}

// wait is what is waited for. From until on that may be something else.
type wait struct {
	reason, message string
	until           time.Time
}

// lateness is how long after its grace period a pod may take to be seen ended.
const lateness = 10 * time.Second

// ending is the wait for the end of a pod that is being deleted. Its node is suspected
// only when its grace period is over, which is what deletionTimestamp says.
func ending(pod *corev1.Pod, now time.Time) wait {
	name := "pod " + pod.Namespace + "/" + pod.Name
	if end := pod.DeletionTimestamp.Add(lateness); now.Before(end) {
		return wait{
			reason: events.StatePodTerminating, until: end,
			message: name + " is ending; it has time until " + pod.DeletionTimestamp.UTC().Format(time.TimeOnly) + " UTC",
		}
	}
	return wait{reason: events.StatePodTerminating, message: fmt.Sprintf(
		"%s does not end: if node %s is down, bring it back or remove it from the cluster; the pod is never deleted by force", name, pod.Spec.NodeName)}
}

// look brings the turn of a pod one move on. done says that it is over.
func (o *offline) look(ctx context.Context, name string) (done bool, err error) {
	o.names = o.claimsOf(name)
	t := turn{pod: o.scene.pod(name), needs: o.needsOf(name), request: o.event.Operation.Request, user: o.otherUser(name), attached: o.attached()}
	move, why := decide(t, time.Now())
	o.waitFor(ctx, why)
	switch move {
	case moveRelease:
		return false, o.release(ctx, t.pod)
	case moveHold:
		return false, o.take(ctx, t.pod)
	case moveEvict:
		return false, o.sendAway(ctx, t.pod)
	case moveGrow:
		return false, o.growReleased(ctx)
	case moveLetNode:
		_, err = o.growth.look(ctx)
		return false, err
	case moveOn:
		_, err = o.growth.look(ctx) // tells how far they are, and what is infeasible
		return true, err
	case moveWait:
	}
	return false, nil
}

// otherUser says which other pod uses a claim of the pod, or "".
func (o *offline) otherUser(pod string) string {
	for _, claim := range o.names {
		if user := usedBy(o.scene.allPods(), claim, pod); user != "" {
			return fmt.Sprintf("pod %s/%s uses claim %s as well, pod %s is not taken down before it has ended", o.namespace, user, claim, pod)
		}
	}
	return ""
}

// attached says which volume of the pod is attached to which node, or "".
func (o *offline) attached() string {
	for _, name := range o.names {
		claim := o.claims.get(o.namespace, name)
		if claim == nil {
			continue
		}
		if node := o.scene.attachedTo(claim.Spec.VolumeName); node != "" {
			return fmt.Sprintf("volume %s of claim %s/%s is attached to node %s still: another pod may use it, or the node is down",
				claim.Spec.VolumeName, o.namespace, name, node)
		}
	}
	return ""
}

// growReleased has volumes grow that nothing uses. A driver that refuses even so ends
// the request, so that the pod comes back.
func (o *offline) growReleased(ctx context.Context) error {
	for _, name := range o.names {
		claim := o.claims.get(o.namespace, name)
		if claim == nil {
			continue
		}
		if o.heard[name] == nil {
			o.heard[name] = &answers{}
		}
		words, final := o.heard[name].hear(claim)
		if final {
			return bus.Permanent(events.Failure{
				Step: "expand", Object: "PersistentVolumeClaim " + o.namespace + "/" + name, Reason: ReasonDriverRefused,
				Message: "the storage driver refuses to expand the volume, though no pod uses it; it says: " + words,
			})
		}
	}
	o.asks = true
	defer func() { o.asks = false }()
	_, err := o.growth.look(ctx)
	return err
}

// helpTakes is how long what only somebody's help can mend, a full quota, is left alone
// before it is tried again: nothing tells when it is mended.
const helpTakes = 10 * time.Second

// take holds the pod, once it may be taken down, and nothing is known that would keep
// its volumes from growing then.
func (o *offline) take(ctx context.Context, pod *corev1.Pod) error {
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.UID != o.set.UID {
		o.waitFor(ctx, wait{reason: events.StatePodsNotReady, message: fmt.Sprintf("pod %s/%s belongs to %s %s and not to %s, it is left alone",
			pod.Namespace, pod.Name, owner.Kind, owner.Name, o.set)})
		return nil
	}
	if ready(pod) && !o.othersUp(ctx, pod.Name) {
		return nil
	}
	if time.Now().Before(o.hindered.until) {
		o.waitFor(ctx, o.hindered)
		return nil
	}
	if err := o.namespaceStays(ctx); err != nil {
		return err
	}
	needed, err := o.stillNeeded(ctx)
	var hindrance *bus.Hindrance
	if errors.As(err, &hindrance) {
		o.hindered = wait{reason: hindrance.Failure.Reason, message: hindrance.Failure.Message, until: time.Now().Add(helpTakes)}
		o.waitFor(ctx, o.hindered)
		return nil
	}
	if err != nil || !needed {
		return err
	}
	clear(o.heard) // what was said while the volumes were in use
	return o.hold(ctx, pod, o.event.Operation.Request)
}

// namespaceStays fails if the namespace is being deleted: the pod would have no
// successor. Where the service may not read namespaces, it learns of that from the
// watcher, which cancels the request.
func (o *offline) namespaceStays(ctx context.Context) error {
	namespace, err := o.core.CoreV1().Namespaces().Get(ctx, o.namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return nil
	case apierrors.IsNotFound(err), err == nil && namespace.DeletionTimestamp != nil:
		return bus.Permanent(events.Failure{
			Step: "expand", Object: "Namespace " + o.namespace, Reason: ReasonNamespaceTerminating,
			Message: "the namespace is being deleted, no pod is restarted in it",
		})
	case err != nil:
		return fmt.Errorf("read namespace %s: %w", o.namespace, err)
	default:
		return nil
	}
}

// stillNeeded asks the API server whether a volume has to be released to grow: what the
// view says of claims may be older than what it says of the pod. It rehearses the larger
// request, too: what the API server refuses, it refuses before the pod is taken down.
func (o *offline) stillNeeded(ctx context.Context) (needed bool, err error) {
	for _, name := range o.names {
		claim, err := o.core.CoreV1().PersistentVolumeClaims(o.namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("expand claim %s/%s: %w", o.namespace, name, err)
		}
		if err := o.set.CheckClaim(claim); err != nil {
			return false, o.notOwned(claim, err)
		}
		if err := o.lost(claim); err != nil {
			return false, err
		}
		stage := stageOf(claim, o.size)
		switch needOf(stage, o.over(claim, stage)) {
		case needNodeFirst:
			return false, nil // the view is about to say so
		case needRelease:
			needed = true
			if err := o.rehearse(ctx, claim); err != nil {
				return false, err
			}
		case needNothing, needNode:
		}
	}
	return needed, nil
}

// sendAway evicts a held pod. A disruption budget that refuses is asked again
// when one changed.
func (o *offline) sendAway(ctx context.Context, pod *corev1.Pod) error {
	changes := o.scene.budgetChanges.Load()
	if o.refusedAt == changes {
		o.waitFor(ctx, o.blocked)
		return nil
	}
	blocked, err := o.evict(ctx, pod)
	if err != nil || blocked == "" {
		return err
	}
	o.refusedAt = changes
	o.blocked = wait{reason: events.StateBlockedByPDB, message: fmt.Sprintf("pod %s/%s may not be evicted: %s", pod.Namespace, pod.Name, blocked)}
	o.waitFor(ctx, o.blocked)
	return nil
}
