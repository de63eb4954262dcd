// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// action is one thing to do to a set.
type action string

const (
	createClaims action = "create claims"
	createPod    action = "create pod"
	deletePod    action = "delete pod"
)

// step is an action on one ordinal; pod is set for deletePod.
type step struct {
	action  action
	ordinal int
	pod     *corev1.Pod
}

// plan says what to do to a set with these pods now, by the rules of a StatefulSet: fill gaps from the lowest ordinal
// up, then remove what is too many from the highest down, then update from the highest down. OrderedReady does one thing
// at a time and waits in between for every lower pod to be ready.
func plan(set *kubedb.PetSet, pods []*corev1.Pod, revision string, now time.Time) []step {
	p := &planner{set: set, now: now, ordered: set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement}
	wanted, surplus := sortPods(set, pods)
	if p.fill(wanted) && p.shrink(surplus) {
		p.update(wanted, revision)
	}
	return p.steps
}

type planner struct {
	set     *kubedb.PetSet
	now     time.Time
	ordered bool
	steps   []step
}

func (p *planner) add(action action, ordinal int, pod *corev1.Pod) {
	p.steps = append(p.steps, step{action: action, ordinal: ordinal, pod: pod})
}

// fill makes every wanted pod exist. It returns false if nothing else may be done now.
func (p *planner) fill(wanted []*corev1.Pod) bool {
	first := start(p.set)
	for i, pod := range wanted {
		ordinal := first + i
		switch {
		case pod == nil:
			p.add(createPod, ordinal, nil)
		case pod.DeletionTimestamp != nil:
			// its successor is made when it is gone
		case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
			p.add(deletePod, ordinal, pod)
		case pod.Status.Phase == corev1.PodPending || pod.Status.Phase == "":
			p.add(createClaims, ordinal, nil) // somebody may have deleted one, and the pod waits for it
		}
		if p.ordered && !p.healthy(pod) {
			return false
		}
	}
	return true
}

// shrink removes the pods above the wanted ordinals; surplus is sorted from the highest down.
func (p *planner) shrink(surplus []*corev1.Pod) bool {
	for _, pod := range surplus {
		if pod.DeletionTimestamp == nil {
			p.add(deletePod, ordinalOf(pod), pod)
		}
		if p.ordered {
			return false
		}
	}
	return true
}

// update replaces one pod of an older revision; OnDelete leaves that to whoever deletes the pod.
func (p *planner) update(wanted []*corev1.Pod, revision string) {
	strategy := p.set.Spec.UpdateStrategy
	if strategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return
	}
	lowest := 0
	if strategy.RollingUpdate != nil && strategy.RollingUpdate.Partition != nil {
		lowest = max(int(*strategy.RollingUpdate.Partition)-start(p.set), 0)
	}
	for i := len(wanted) - 1; i >= lowest; i-- {
		pod := wanted[i]
		if pod == nil || pod.DeletionTimestamp != nil {
			return
		}
		if pod.Labels[kubedb.LabelRevision] != revision {
			p.add(deletePod, start(p.set)+i, pod)
			return
		}
		if !p.healthy(pod) {
			return
		}
	}
}

func (p *planner) healthy(pod *corev1.Pod) bool {
	return pod != nil && pod.DeletionTimestamp == nil && available(p.set, pod, p.now)
}

// sortPods returns the pods in the wanted ordinals, nil where one is missing, and the others from the highest down.
func sortPods(set *kubedb.PetSet, pods []*corev1.Pod) (wanted, surplus []*corev1.Pod) {
	wanted = make([]*corev1.Pod, replicas(set))
	for _, pod := range pods {
		if i := ordinalOf(pod) - start(set); i >= 0 && i < len(wanted) {
			wanted[i] = pod
		} else {
			surplus = append(surplus, pod)
		}
	}
	slices.SortFunc(surplus, func(a, b *corev1.Pod) int { return cmp.Compare(ordinalOf(b), ordinalOf(a)) })
	return wanted, surplus
}

func ordinalOf(pod *corev1.Pod) int {
	match := podName.FindStringSubmatch(pod.Name)
	if match == nil {
		return -1
	}
	ordinal, err := strconv.Atoi(match[2])
	if err != nil {
		return -1
	}
	return ordinal
}

func replicas(set *kubedb.PetSet) int {
	if set.Spec.Replicas == nil {
		return 1
	}
	return max(int(*set.Spec.Replicas), 0)
}

func start(set *kubedb.PetSet) int {
	if set.Spec.Ordinals == nil {
		return 0
	}
	return int(set.Spec.Ordinals.Start)
}
