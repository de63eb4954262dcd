// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// checkMaxSize holds the policy's largest size.
func checkMaxSize(_ context.Context, s *survey) ([]Finding, error) {
	var findings []Finding
	for _, component := range s.components {
		if !s.Policy.MaxSize.IsZero() && component.size.Cmp(s.Policy.MaxSize) > 0 {
			findings = append(findings, blocking("spec.volumeExpansion."+component.Name, ReasonSizeTooLarge,
				"%s is more than %s, the largest size that the watcher allows (its flag --max-size)", component.To, s.Policy.MaxSize.String()))
		}
	}
	return findings, nil
}

// checkLimitRanges looks whether the namespace allows claims of the new sizes.
func checkLimitRanges(_ context.Context, s *survey) ([]Finding, error) {
	ranges, err := s.limits()
	if err != nil {
		return unchecked("whether the LimitRanges of namespace "+s.namespace+" allow the sizes", err)
	}
	var findings []Finding
	for _, limits := range ranges.Items {
		for _, limit := range limits.Spec.Limits {
			if limit.Type != corev1.LimitTypePersistentVolumeClaim {
				continue
			}
			for _, component := range s.components {
				field := "spec.volumeExpansion." + component.Name
				if most, ok := limit.Max[corev1.ResourceStorage]; ok && component.size.Cmp(most) > 0 {
					findings = append(findings, blocking(field, ReasonLimitRange, "LimitRange %s/%s allows claims of at most %s, not %s: raise it or ask for less, and create a new request", s.namespace, limits.Name, most.String(), component.To))
				}
				if least, ok := limit.Min[corev1.ResourceStorage]; ok && component.size.Cmp(least) < 0 {
					findings = append(findings, blocking(field, ReasonLimitRange, "LimitRange %s/%s allows claims of at least %s, not %s: lower it or ask for more, and create a new request", s.namespace, limits.Name, least.String(), component.To))
				}
			}
		}
	}
	return findings, nil
}
