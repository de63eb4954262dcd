// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"context"
	"fmt"
	"maps"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// ensurePetSet makes a component's PetSet, or patches what differs in it.
func (c *Controller) ensurePetSet(ctx context.Context, db *kubedb.Singlestore, component kubedb.Component) error {
	desired := c.newPetSet(db, component)
	cached, exists, err := c.petSets.GetByKey(desired.Namespace + "/" + desired.Name)
	if err != nil {
		return err
	}
	client := c.cfg.Client.PetSets(db.Namespace)
	if !exists {
		return create(ctx, c.petSets, "PetSet", desired, client.Create)
	}
	existing := cached.(*kubedb.PetSet)
	if existing.DeletionTimestamp != nil {
		return nil // it is recreated when it is gone
	}
	if err := existing.Workload().CheckOwner(db.Name, db.UID); err != nil {
		return err
	}
	if err := existing.Invalid(); err != nil {
		return fmt.Errorf("PetSet %s: %w", existing.Name, err)
	}
	patch, err := petSetPatch(existing, desired)
	if err != nil || patch == nil {
		return err
	}
	if _, err := client.Patch(ctx, existing.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("patch PetSet %s: %w", existing.Name, err)
	}
	zerolog.Ctx(ctx).Info().Str("namespace", existing.Namespace).Str("name", existing.Name).Msg("PetSet patched")
	return nil
}

// petSetPatch is the merge patch that makes existing as desired, in the fields that are the provisioner's; nil if it is
// so already. It holds the version of what it was made from, for it replaces whole lists.
func petSetPatch(existing, desired *kubedb.PetSet) ([]byte, error) {
	changed := existing.DeepCopy()
	spec, want := &changed.Spec, &desired.Spec
	spec.Replicas = want.Replicas
	spec.UpdateStrategy = want.UpdateStrategy
	spec.Template.Labels = withAll(spec.Template.Labels, want.Template.Labels)
	spec.Template.Annotations = withAll(spec.Template.Annotations, want.Template.Annotations)
	if !equality.Semantic.DeepEqual(spec.Template.Spec, want.Template.Spec) {
		spec.Template.Spec = want.Template.Spec
	}
	for i := range want.VolumeClaimTemplates {
		raiseSize(spec.VolumeClaimTemplates, &want.VolumeClaimTemplates[i])
	}
	if equality.Semantic.DeepEqual(existing.Spec, changed.Spec) {
		return nil, nil
	}
	before := existing.DeepCopy()
	before.ResourceVersion = ""
	return kubedb.MergePatch(before, changed)
}

// raiseSize raises the size in the template of the same name, if it is smaller.
func raiseSize(templates []corev1.PersistentVolumeClaim, want *corev1.PersistentVolumeClaim) {
	size, ok := want.Spec.Resources.Requests[corev1.ResourceStorage]
	for i := range templates {
		requests := templates[i].Spec.Resources.Requests
		if is := requests[corev1.ResourceStorage]; ok && templates[i].Name == want.Name && is.Cmp(size) < 0 {
			templates[i].Spec.Resources.Requests = withAll(requests, corev1.ResourceList{corev1.ResourceStorage: size})
		}
	}
}

// withAll returns into with everything in from; into itself if it has it all.
func withAll[M ~map[K]V, K comparable, V any](into, from M) M {
	if len(from) == 0 {
		return into
	}
	result := M{}
	maps.Copy(result, into)
	maps.Copy(result, from)
	return result
}
