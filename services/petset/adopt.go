// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// adopt makes the set the owner of pods that have none. The API server is asked first whether the set is still there:
// a pod with a dead owner would be collected as garbage.
func (c *Controller) adopt(ctx context.Context, set *kubedb.PetSet, orphans []*corev1.Pod) ([]*corev1.Pod, error) {
	live, err := c.client.PetSets(set.Namespace).Get(ctx, set.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("adopt pods of %s: %w", set.Name, err)
	}
	if live.UID != set.UID || live.DeletionTimestamp != nil {
		return nil, nil // the event of the new set, or of the end of this one, will come
	}
	var adopted []*corev1.Pod
	for _, orphan := range orphans {
		pod, err := c.adoptPod(ctx, set, orphan)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		adopted = append(adopted, pod)
	}
	return adopted, nil
}

// adoptPod adds an owner reference. The UID in the patch makes it fail for another pod of the same name.
func (c *Controller) adoptPod(ctx context.Context, set *kubedb.PetSet, orphan *corev1.Pod) (*corev1.Pod, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             orphan.UID,
		"ownerReferences": []metav1.OwnerReference{ownerReference(set)},
	}})
	if err != nil {
		return nil, err
	}
	pod, err := c.kubernetes.CoreV1().Pods(set.Namespace).Patch(ctx, orphan.Name, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{})
	if err != nil {
		return nil, fmt.Errorf("adopt pod %s: %w", orphan.Name, err)
	}
	zerolog.Ctx(ctx).Info().Str("namespace", set.Namespace).Str("pod", pod.Name).Msg("pod adopted")
	return pod, nil
}

func ownerReference(set *kubedb.PetSet) metav1.OwnerReference {
	return *metav1.NewControllerRef(set, kubedb.AppsGroupVersion.WithKind(kubedb.KindPetSet))
}
