// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Workload is what growing volumes has to know of the PetSet or the StatefulSet that runs a component.
//
// +k8s:deepcopy-gen=false
type Workload struct {
	// Kind is KindPetSet or KindStatefulSet.
	Kind            string
	Namespace, Name string
	UID             types.UID
	// Selector chooses the pods, which have PodLabels.
	Selector  *metav1.LabelSelector
	PodLabels map[string]string
	// ClaimTemplates are the claims of each pod.
	ClaimTemplates []corev1.PersistentVolumeClaim

	replicas *int32
	ordinals *appsv1.StatefulSetOrdinals
	invalid  error
}

// Workload reads what runs a component: the PetSet of that name or, if there is none, the StatefulSet. The error is that
// of the StatefulSet if there is neither.
func (c *Client) Workload(ctx context.Context, namespace, name string) (*Workload, error) {
	set, err := c.PetSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		return set.Workload(), nil
	}
	if !apierrors.IsNotFound(err) { // it is that, too, where nobody knows PetSets
		return nil, err
	}
	statefulSet, err := c.StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return statefulSet.Workload(), nil
}

// Workload is what runs with the set.
func (s *PetSet) Workload() *Workload {
	return &Workload{
		Kind: KindPetSet, Namespace: s.Namespace, Name: s.Name, UID: s.UID,
		Selector: s.Spec.Selector, PodLabels: s.Spec.Template.Labels, ClaimTemplates: s.Spec.VolumeClaimTemplates,
		replicas: s.Spec.Replicas, ordinals: s.Spec.Ordinals, invalid: s.Invalid(),
	}
}

// Workload is what runs with the set.
func (s *StatefulSet) Workload() *Workload {
	return &Workload{
		Kind: KindStatefulSet, Namespace: s.Namespace, Name: s.Name, UID: s.UID,
		Selector: s.Spec.Selector, PodLabels: s.Spec.Template.Labels, ClaimTemplates: s.Spec.VolumeClaimTemplates,
		replicas: s.Spec.Replicas, ordinals: s.Spec.Ordinals, invalid: s.Invalid(),
	}
}

// String names the workload, as failures do.
func (w *Workload) String() string { return w.Kind + " " + w.Namespace + "/" + w.Name }

// Invalid returns why the spec could not be read, or nil.
func (w *Workload) Invalid() error { return w.invalid }

// ClaimNames lists the claims of the workload's pods, template by template and by ordinal: what its controller makes, and
// what exists unless somebody deleted it.
func (w *Workload) ClaimNames() []string {
	var names []string
	for _, template := range w.ClaimTemplates {
		for _, pod := range w.PodNames() {
			names = append(names, template.Name+"-"+pod)
		}
	}
	return names
}

// PodNames lists the workload's pods by ordinal: what its controller makes.
func (w *Workload) PodNames() []string {
	first, replicas := 0, 1
	if w.ordinals != nil {
		first = int(w.ordinals.Start)
	}
	if w.replicas != nil {
		replicas = int(*w.replicas)
	}
	var names []string
	for ordinal := first; ordinal < first+replicas; ordinal++ {
		names = append(names, PodName(w.Name, ordinal))
	}
	return names
}
