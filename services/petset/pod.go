// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// newPod is the pod of the set with that ordinal: the template with a name, a place in DNS, volumes and labels.
func newPod(set *kubedb.PetSet, ordinal int, revision string) *corev1.Pod {
	template := set.Spec.Template.DeepCopy()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       set.Namespace,
			Name:            kubedb.PodName(set.Name, ordinal),
			Labels:          map[string]string{},
			Annotations:     template.Annotations,
			Finalizers:      template.Finalizers,
			OwnerReferences: []metav1.OwnerReference{ownerReference(set)},
		},
		Spec: template.Spec,
	}
	maps.Copy(pod.Labels, template.Labels)
	pod.Labels[kubedb.LabelPodName] = pod.Name
	pod.Labels[kubedb.LabelPodIndex] = strconv.Itoa(ordinal)
	pod.Labels[kubedb.LabelRevision] = revision
	pod.Spec.Hostname = pod.Name
	pod.Spec.Subdomain = set.Spec.ServiceName
	pod.Spec.Volumes = podVolumes(set, pod.Spec.Volumes, ordinal)
	return pod
}

// podVolumes are the claims, and the template's volumes of other names.
func podVolumes(set *kubedb.PetSet, volumes []corev1.Volume, ordinal int) []corev1.Volume {
	var result []corev1.Volume
	taken := map[string]bool{}
	for _, template := range set.Spec.VolumeClaimTemplates {
		taken[template.Name] = true
		result = append(result, corev1.Volume{Name: template.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: kubedb.ClaimName(template.Name, set.Name, ordinal),
			},
		}})
	}
	for _, volume := range volumes {
		if !taken[volume.Name] {
			result = append(result, volume)
		}
	}
	return result
}

// newClaims are the claims of the pod with that ordinal. They have no owner: volumes outlive pods and sets.
func newClaims(set *kubedb.PetSet, ordinal int) []*corev1.PersistentVolumeClaim {
	var claims []*corev1.PersistentVolumeClaim
	for i := range set.Spec.VolumeClaimTemplates {
		template := set.Spec.VolumeClaimTemplates[i].DeepCopy()
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:   set.Namespace,
				Name:        kubedb.ClaimName(template.Name, set.Name, ordinal),
				Labels:      map[string]string{},
				Annotations: template.Annotations,
				Finalizers:  template.Finalizers,
			},
			Spec: template.Spec,
		}
		maps.Copy(claim.Labels, template.Labels)
		if set.Spec.Selector != nil {
			maps.Copy(claim.Labels, set.Spec.Selector.MatchLabels)
		}
		claims = append(claims, claim)
	}
	return claims
}
