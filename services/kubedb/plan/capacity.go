// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
)

// checkCapacity compares what is needed with the capacity that the storage
// publishes. That is an estimate, made for new volumes and of the past: being
// short of it is a warning.
func checkCapacity(ctx context.Context, s *survey) ([]Finding, error) {
	if !s.grows() {
		return nil, nil
	}
	published, err := s.capacities()
	if err != nil {
		return unchecked("whether the storage has capacity left (CSIStorageCapacity)", err)
	}
	isPublished := func(v Volume) bool {
		return slices.ContainsFunc(published.Items, func(c storagev1.CSIStorageCapacity) bool { return c.StorageClassName == v.StorageClass })
	}
	if err := s.readPersistentVolumes(ctx, isPublished); err != nil {
		return unchecked("where the volumes are, and whether the storage has capacity left there,", err)
	}
	return s.compare(published.Items), nil
}

// compare compares what is needed with what is published.
func (s *survey) compare(published []storagev1.CSIStorageCapacity) []Finding {
	var findings []Finding
	needs := make([]resource.Quantity, len(published))
	for _, component := range s.components {
		for _, volume := range component.Volumes {
			need := volume.missing(component.size)
			places := placesOf(volume, published)
			if need.IsZero() || len(places) == 0 {
				continue
			}
			if !slices.ContainsFunc(places, func(i int) bool { return fits(published[i], component.size) }) {
				most := published[places[0]].MaximumVolumeSize
				findings = append(findings, warning(ReasonCapacityShort, "the storage of claim %s/%s makes volumes of at most %s (CSIStorageCapacity %s/%s), and %s is requested",
					s.namespace, volume.Claim, most, published[places[0]].Namespace, published[places[0]].Name, component.To))
			}
			if len(places) == 1 { // otherwise nobody knows which one it is taken from
				needs[places[0]].Add(need)
			}
		}
	}
	for i, need := range needs {
		if have := published[i].Capacity; have != nil && need.Cmp(*have) > 0 {
			findings = append(findings, warning(ReasonCapacityShort, "StorageClass %s has %s left (CSIStorageCapacity %s/%s), and %s more is needed",
				published[i].StorageClassName, have, published[i].Namespace, published[i].Name, &need))
		}
	}
	return findings
}

func (s *survey) grows() bool {
	return slices.ContainsFunc(s.components, func(c Component) bool { return len(c.growing()) > 0 })
}

// fits reports whether a volume of the size can be made there, as far as is said.
func fits(place storagev1.CSIStorageCapacity, size resource.Quantity) bool {
	return place.MaximumVolumeSize == nil || size.Cmp(*place.MaximumVolumeSize) <= 0
}

// placesOf are the capacities that the volume may be a part of: those of its
// class, where it can be reached from.
func placesOf(volume Volume, published []storagev1.CSIStorageCapacity) []int {
	var places []int
	for i, place := range published {
		if place.StorageClassName == volume.StorageClass && place.NodeTopology != nil && volume.volume != nil &&
			reachable(volume.volume, place.NodeTopology.MatchLabels) {
			places = append(places, i)
		}
	}
	return places
}

// reachable reports whether nodes with these labels can reach the volume.
func reachable(volume *corev1.PersistentVolume, node labels.Set) bool {
	if volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return true
	}
	return slices.ContainsFunc(volume.Spec.NodeAffinity.Required.NodeSelectorTerms, func(term corev1.NodeSelectorTerm) bool {
		return !slices.ContainsFunc(term.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool {
			return r.Operator == corev1.NodeSelectorOpIn && !slices.Contains(r.Values, node[r.Key])
		})
	})
}
