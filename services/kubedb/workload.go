// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"context"
	"fmt"

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
	// Labels are the workload's own, Controller is its controller owner reference; nil if it has none. See
	// [Workload.CheckOwner].
	Labels     map[string]string
	Controller *metav1.OwnerReference
	// Distributed means that pods and volumes are in other clusters.
	Distributed bool
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
		Labels: s.Labels, Controller: metav1.GetControllerOf(s), Distributed: s.Spec.Distributed,
		Selector: s.Spec.Selector, PodLabels: s.Spec.Template.Labels, ClaimTemplates: s.Spec.VolumeClaimTemplates,
		replicas: s.Spec.Replicas, ordinals: s.Spec.Ordinals, invalid: s.Invalid(),
	}
}

// Workload is what runs with the set.
func (s *StatefulSet) Workload() *Workload {
	return &Workload{
		Kind: KindStatefulSet, Namespace: s.Namespace, Name: s.Name, UID: s.UID,
		Labels: s.Labels, Controller: metav1.GetControllerOf(s),
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

// PodNames lists the workload's pods by ordinal: what its controller makes. Of more than MaxVolumes it lists no more: a
// number is quickly written, and a list of two billion names takes the process down.
func (w *Workload) PodNames() []string {
	first := w.first()
	var names []string
	for ordinal := first; ordinal < first+min(w.replicaCount(), MaxVolumes+1); ordinal++ {
		names = append(names, PodName(w.Name, ordinal))
	}
	return names
}

// MaxVolumes is how many volumes of one component may grow in one request: each is listed in events and in the status,
// and both are bounded.
const MaxVolumes = 2000

// CheckVolumes returns why the workload has no volumes in this cluster that one request could grow, in words for people;
// nil if it may have some.
func (w *Workload) CheckVolumes() error {
	volumes := w.replicaCount() * len(w.ClaimTemplates)
	switch {
	case w.Distributed:
		return fmt.Errorf("%s is distributed: its pods and volumes are in other clusters, where they are to be expanded", w)
	case len(w.ClaimTemplates) == 0:
		return fmt.Errorf("%s has no claim templates, and so no volumes to expand", w)
	case volumes == 0:
		return fmt.Errorf("%s has 0 replicas, and so no volumes to expand: scale it out first", w)
	case volumes > MaxVolumes:
		return fmt.Errorf("%s has %d volumes, and one request expands %d of a component at most", w, volumes, MaxVolumes)
	}
	for _, template := range w.ClaimTemplates {
		if err := CheckName(ClaimName(template.Name, w.Name, w.first())); err != nil {
			return fmt.Errorf("%s has a claim template whose claims cannot exist: %w", w, err)
		}
	}
	return nil
}

// first is the ordinal of the first pod.
func (w *Workload) first() int {
	if w.ordinals == nil {
		return 0
	}
	return int(w.ordinals.Start)
}

func (w *Workload) replicaCount() int {
	if w.replicas == nil {
		return 1
	}
	return max(int(*w.replicas), 0)
}
