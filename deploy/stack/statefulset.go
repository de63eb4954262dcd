// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// StatefulSet is what a controller that knows no PetSets would make for a
// component of the database, which must exist.
func StatefulSet(db *kubedb.Singlestore, component kubedb.Component) *appsv1.StatefulSet {
	labels := db.ComponentLabels(component.Name)
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: db.Namespace, Name: component.Workload, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(db, kubedb.DatabaseGroupVersion.WithKind(kubedb.KindSinglestore))},
		},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &component.Replicas, ServiceName: db.GoverningServiceName(),
			Selector: &metav1.LabelSelector{MatchLabels: db.ComponentSelectors(component.Name)},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: kubedb.ContainerSinglestore, Image: "singlestore",
					VolumeMounts: []corev1.VolumeMount{{Name: kubedb.ClaimTemplateData, MountPath: kubedb.DataPath}},
				}}},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{
				{ObjectMeta: metav1.ObjectMeta{Name: kubedb.ClaimTemplateData}, Spec: *component.Storage},
			},
		},
	}
}
