// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
)

// look brings the turn of a pod one step on, whatever step that is. done says
// that the pod is free and its volumes have grown, but for what their node does
// when the pod starts.
func (o *offline) look(ctx context.Context, name string) (done bool, err error) {
	o.names = o.claimsOf(name)
	pod := o.scene.pod(name)
	switch {
	case !o.needsTurn(name):
		return o.letGo(ctx, pod)
	case pod == nil, pod.Spec.NodeName == "" && !holds(pod):
		_, err := o.growth.look(ctx) // nothing uses the volumes
		return false, err
	case !heldFor(pod, o.event.Operation.Request):
		return false, o.take(ctx, pod)
	case pod.DeletionTimestamp == nil:
		return false, o.sendAway(ctx, pod)
	case !dead(pod):
		o.waitFor(ctx, events.StatePodTerminating, fmt.Sprintf("pod %s/%s does not end: if node %s is down, bring it back or remove it from the cluster; the pod is never deleted by force",
			pod.Namespace, pod.Name, pod.Spec.NodeName))
		return false, nil
	case o.attached(ctx):
		return false, nil
	default:
		_, err := o.growth.look(ctx)
		return false, err
	}
}

// letGo takes our hold off a pod whose volumes need it no longer.
func (o *offline) letGo(ctx context.Context, pod *corev1.Pod) (done bool, err error) {
	if pod != nil && holds(pod) {
		return false, o.release(ctx, pod)
	}
	_, err = o.growth.look(ctx) // tells how far they are, and what is infeasible
	return true, err
}

// take holds the pod, once it may be taken down. What the view says of claims may
// be older than what it says of the pod: so they are read from the API server
// before a pod is restarted for them.
func (o *offline) take(ctx context.Context, pod *corev1.Pod) error {
	if pod.DeletionTimestamp != nil && !holds(pod) {
		o.waitFor(ctx, events.StatePodTerminating, fmt.Sprintf("pod %s/%s was deleted by somebody else and has not ended", pod.Namespace, pod.Name))
		return nil // too late to hold it; its successor is looked at
	}
	if ready(pod) && !o.othersUp(ctx, pod.Name) {
		return nil
	}
	needed, err := o.stillNeeded(ctx)
	if err != nil || !needed {
		return err
	}
	return o.hold(ctx, pod, o.event.Operation.Request)
}

// stillNeeded asks the API server whether a volume has to grow.
func (o *offline) stillNeeded(ctx context.Context) (bool, error) {
	for _, name := range o.names {
		claim, err := o.core.CoreV1().PersistentVolumeClaims(o.namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("expand claim %s/%s: %w", o.namespace, name, err)
		}
		if !nodesTurn(stageOf(claim, o.size)) {
			return true, nil
		}
	}
	return false, nil
}

// sendAway evicts a held pod. A disruption budget that refuses is asked again
// when one changed.
func (o *offline) sendAway(ctx context.Context, pod *corev1.Pod) error {
	changes := o.scene.budgetChanges.Load()
	if o.refusedAt == changes {
		return nil
	}
	blocked, err := o.evict(ctx, pod)
	if err != nil || blocked == "" {
		return err
	}
	o.refusedAt = changes
	o.waitFor(ctx, events.StateBlockedByPDB, fmt.Sprintf("pod %s/%s may not be evicted: %s", pod.Namespace, pod.Name, blocked))
	return nil
}

// attached reports whether one of the volumes is attached to a node still.
func (o *offline) attached(ctx context.Context) bool {
	for _, name := range o.names {
		claim := o.claims.get(o.namespace, name)
		if claim == nil {
			continue
		}
		if node := o.scene.attachedTo(claim.Spec.VolumeName); node != "" {
			o.waitFor(ctx, events.StateVolumeAttached, fmt.Sprintf("volume %s of claim %s/%s is attached to node %s still: another pod may use it, or the node is down",
				claim.Spec.VolumeName, o.namespace, name, node))
			return true
		}
	}
	return false
}
