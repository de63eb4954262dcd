// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// checkDisruption looks for PodDisruptionBudgets that do not let the pods be
// restarted. In mode Online none is.
func checkDisruption(ctx context.Context, s *survey) ([]Finding, error) {
	if s.request.Spec.VolumeExpansion.Mode != kubedb.ModeOffline || !s.grows() {
		return nil, nil
	}
	budgets, err := s.Core.PolicyV1().PodDisruptionBudgets(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return unchecked("whether a PodDisruptionBudget of namespace "+s.namespace+" is in the way", err)
	}
	var findings []Finding
	for _, component := range s.components {
		if len(component.growing()) > 0 {
			findings = append(findings, s.checkBudgets(component, budgets.Items)...)
		}
	}
	return findings, nil
}

func (s *survey) checkBudgets(component Component, budgets []policyv1.PodDisruptionBudget) []Finding {
	var names []string
	var findings []Finding
	for _, budget := range budgets {
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil || !selector.Matches(labels.Set(component.labels)) {
			continue
		}
		names = append(names, budget.Name)
		if budget.Status.DisruptionsAllowed == 0 {
			findings = append(findings, waiting(StepExpand, ReasonBlockedByPDB,
				"PodDisruptionBudget %s/%s allows no disruption now (%s): the restarts of %s wait until it does, as long as the step may take",
				s.namespace, budget.Name, why(budget.Status), component.Workload))
		}
	}
	if len(names) > 1 {
		findings = append(findings, blocking("spec.volumeExpansion.mode", ReasonBlockedByPDB,
			"the pods of %s have several PodDisruptionBudgets (%s), and Kubernetes evicts no such pod: leave one of them, and create a new request",
			component.Workload, strings.Join(names, ", ")))
	}
	return findings
}

// why says why a budget allows nothing.
func why(status policyv1.PodDisruptionBudgetStatus) string {
	condition := meta.FindStatusCondition(status.Conditions, policyv1.DisruptionAllowedCondition)
	if condition != nil && condition.Reason == policyv1.SyncFailedReason {
		return "Kubernetes cannot count its pods: " + condition.Message
	}
	return fmt.Sprintf("%d pods are healthy, %d must be", status.CurrentHealthy, status.DesiredHealthy)
}

// checkUsers looks for other pods that use the volumes: none is taken down before they
// have ended. In mode Online nobody has to wait for them.
func checkUsers(ctx context.Context, s *survey) ([]Finding, error) {
	if s.request.Spec.VolumeExpansion.Mode != kubedb.ModeOffline || !s.grows() {
		return nil, nil
	}
	pods, err := s.Core.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return unchecked("whether another pod of namespace "+s.namespace+" uses the volumes", err)
	}
	var findings []Finding
	for _, component := range s.components {
		for _, volume := range component.Volumes {
			for _, pod := range pods.Items {
				if volume.Grows && pod.Name != volume.Pod && uses(pod, volume.Claim) {
					findings = append(findings, waiting(StepExpand, ReasonClaimInUse,
						"pod %s/%s uses claim %s as well: the restart of pod %s waits until that one has ended, as long as the step may take",
						s.namespace, pod.Name, volume.Claim, volume.Pod))
				}
			}
		}
	}
	return findings, nil
}

// uses reports whether the pod has not ended, and has the claim.
func uses(pod corev1.Pod, claim string) bool {
	return pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed &&
		slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
			return volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claim
		})
}
