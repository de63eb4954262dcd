// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

// ClaimNames lists the claims of the workload's pods, template by template and by ordinal: what its controller makes, and
// what exists unless somebody deleted it.
func (s *PetSet) ClaimNames() []string {
	var names []string
	for _, template := range s.Spec.VolumeClaimTemplates {
		for _, pod := range s.PodNames() {
			names = append(names, template.Name+"-"+pod)
		}
	}
	return names
}

// PodNames lists the workload's pods by ordinal: what its controller makes.
func (s *PetSet) PodNames() []string {
	first, replicas := 0, 1
	if s.Spec.Ordinals != nil {
		first = int(s.Spec.Ordinals.Start)
	}
	if s.Spec.Replicas != nil {
		replicas = int(*s.Spec.Replicas)
	}
	var names []string
	for ordinal := first; ordinal < first+replicas; ordinal++ {
		names = append(names, PodName(s.Name, ordinal))
	}
	return names
}
