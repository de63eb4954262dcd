// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// writeStatus writes the status if it says something new.
func (c *Controller) writeStatus(ctx context.Context, set *kubedb.PetSet, pods []*corev1.Pod, revision string, now time.Time) error {
	status := newStatus(set, pods, revision, now)
	if equality.Semantic.DeepEqual(set.Status, status) {
		return nil
	}
	changed := set.DeepCopy()
	changed.Status = status
	if _, err := c.client.PetSets(set.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update status of %s: %w", set.Name, err)
	}
	return nil
}

// newStatus counts the pods as a StatefulSet does. The current revision becomes the update revision once every pod is of
// that revision and ready.
func newStatus(set *kubedb.PetSet, pods []*corev1.Pod, revision string, now time.Time) appsv1.StatefulSetStatus {
	status := *set.Status.DeepCopy()
	status.ObservedGeneration = set.Generation
	status.Replicas, status.ReadyReplicas, status.AvailableReplicas = 0, 0, 0
	status.CurrentReplicas, status.UpdatedReplicas = 0, 0
	status.UpdateRevision = revision
	if status.CurrentRevision == "" {
		status.CurrentRevision = revision
	}
	for _, pod := range pods {
		status.Replicas++
		if isReady(pod) {
			status.ReadyReplicas++
		}
		if available(set, pod, now) {
			status.AvailableReplicas++
		}
		if pod.DeletionTimestamp != nil {
			continue
		}
		if pod.Labels[kubedb.LabelRevision] == status.CurrentRevision {
			status.CurrentReplicas++
		}
		if pod.Labels[kubedb.LabelRevision] == revision {
			status.UpdatedReplicas++
		}
	}
	if want := int32(replicas(set)); status.UpdatedReplicas == want && status.ReadyReplicas == want && status.Replicas == want {
		status.CurrentRevision, status.CurrentReplicas = revision, status.UpdatedReplicas
	}
	return status
}

func isReady(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && readyCondition(pod) != nil
}

// readyCondition returns the pod's Ready condition if it is True.
func readyCondition(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// available reports whether the pod has been ready for as long as the set asks.
func available(set *kubedb.PetSet, pod *corev1.Pod, now time.Time) bool {
	return isReady(pod) && readyFor(set, pod, now) <= 0
}

// readyFor is how much longer a ready pod must be ready to count as available.
func readyFor(set *kubedb.PetSet, pod *corev1.Pod, now time.Time) time.Duration {
	least := time.Duration(set.Spec.MinReadySeconds) * time.Second
	if least == 0 {
		return 0
	}
	return readyCondition(pod).LastTransitionTime.Add(least).Sub(now)
}

// untilAvailable is when the next ready pod becomes available, of which no event tells; 0 if there is none.
func untilAvailable(set *kubedb.PetSet, pods []*corev1.Pod, now time.Time) time.Duration {
	var next time.Duration
	for _, pod := range pods {
		if !isReady(pod) {
			continue
		}
		if wait := readyFor(set, pod, now); wait > 0 && (next == 0 || wait < next) {
			next = wait
		}
	}
	return next
}
