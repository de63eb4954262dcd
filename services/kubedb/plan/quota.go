// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// ofClass ends the name of a quota's resource that counts one StorageClass.
const ofClass = ".storageclass.storage.k8s.io/requests.storage"

// checkQuotas does the arithmetic that the API server does claim by claim, for
// all of them together: a claim counts with what it asks for, or was allocated if
// that is more.
func checkQuotas(_ context.Context, s *survey) ([]Finding, error) {
	quotas, err := s.quotas()
	if err != nil {
		return unchecked("whether the ResourceQuotas of namespace "+s.namespace+" leave room", err)
	}
	var findings []Finding
	for _, quota := range quotas.Items {
		for _, name := range slices.Sorted(countedStorage(quota)) {
			findings = append(findings, s.checkQuota(quota, name)...)
		}
	}
	return findings, nil
}

// countedStorage lists the resources of the quota that are storage of claims.
func countedStorage(quota corev1.ResourceQuota) func(yield func(corev1.ResourceName) bool) {
	return func(yield func(corev1.ResourceName) bool) {
		for name := range quota.Spec.Hard {
			if (name == corev1.ResourceRequestsStorage || strings.HasSuffix(string(name), ofClass)) && !yield(name) {
				return
			}
		}
	}
}

func (s *survey) checkQuota(quota corev1.ResourceQuota, name corev1.ResourceName) []Finding {
	var need resource.Quantity
	for _, component := range s.components {
		for _, volume := range component.Volumes {
			if counts(quota, name, volume) {
				need.Add(volume.missing(component.size))
			}
		}
	}
	if need.IsZero() {
		return nil
	}
	hard, used := quota.Spec.Hard[name], quota.Status.Used[name]
	if _, counted := quota.Status.Used[name]; !counted {
		return []Finding{warning(ReasonUnchecked, "ResourceQuota %s/%s could not be checked: its use of %s is not counted yet", s.namespace, quota.Name, name)}
	}
	left := hard.DeepCopy()
	left.Sub(used)
	if need.Cmp(left) <= 0 {
		return nil
	}
	return []Finding{blocking("spec.volumeExpansion", ReasonQuotaExceeded,
		"ResourceQuota %s/%s leaves %s of %s (%s of %s are used), and %s more is needed: raise the quota or ask for less, and create a new request",
		s.namespace, quota.Name, left.String(), name, used.String(), hard.String(), need.String())}
}

// counts reports whether the quota counts the volume's claim under that name.
func counts(quota corev1.ResourceQuota, name corev1.ResourceName, volume Volume) bool {
	if class, ok := strings.CutSuffix(string(name), ofClass); ok && class != volume.StorageClass {
		return false
	}
	for _, scope := range quota.Spec.Scopes {
		if !inScope(corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists}, volume.claim) {
			return false
		}
	}
	if quota.Spec.ScopeSelector == nil {
		return true
	}
	for _, requirement := range quota.Spec.ScopeSelector.MatchExpressions {
		if !inScope(requirement, volume.claim) {
			return false
		}
	}
	return true
}

// inScope reports whether a claim is in a scope of a quota. Of all scopes, claims
// have the VolumeAttributesClass only; every other one is about pods.
func inScope(scope corev1.ScopedResourceSelectorRequirement, claim *corev1.PersistentVolumeClaim) bool {
	if scope.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass {
		return false
	}
	classes := attributesClasses(claim)
	operator := map[corev1.ScopeSelectorOperator]selection.Operator{
		corev1.ScopeSelectorOpIn: selection.In, corev1.ScopeSelectorOpNotIn: selection.NotIn,
		corev1.ScopeSelectorOpExists: selection.Exists, corev1.ScopeSelectorOpDoesNotExist: selection.DoesNotExist,
	}[scope.Operator]
	requirement, err := labels.NewRequirement(string(scope.ScopeName), operator, scope.Values)
	if err != nil {
		return false // the API server takes no such quota
	}
	if len(classes) == 0 {
		return requirement.Matches(labels.Set{})
	}
	return slices.ContainsFunc(classes, func(class string) bool {
		return requirement.Matches(labels.Set{string(scope.ScopeName): class})
	})
}

// attributesClasses lists the VolumeAttributesClasses that a claim has, wants or
// is on its way to.
func attributesClasses(claim *corev1.PersistentVolumeClaim) []string {
	var classes []string
	add := func(class *string) {
		if class != nil && *class != "" {
			classes = append(classes, *class)
		}
	}
	add(claim.Spec.VolumeAttributesClassName)
	add(claim.Status.CurrentVolumeAttributesClassName)
	if claim.Status.ModifyVolumeStatus != nil {
		add(&claim.Status.ModifyVolumeStatus.TargetVolumeAttributesClassName)
	}
	return classes
}
