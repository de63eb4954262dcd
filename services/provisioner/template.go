// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// newPetSet is the PetSet of a component as the database wants it.
func (c *Controller) newPetSet(db *kubedb.Singlestore, component kubedb.Component) *kubedb.PetSet {
	selectors := db.ComponentSelectors(component.Name)
	set := &kubedb.PetSet{
		ObjectMeta: objectMeta(db, component.Workload, db.ComponentLabels(component.Name)),
		Spec: kubedb.PetSetSpec{
			Replicas:            &component.Replicas,
			Selector:            &metav1.LabelSelector{MatchLabels: selectors},
			ServiceName:         db.GoverningServiceName(),
			PodManagementPolicy: appsv1.ParallelPodManagement, // the nodes of a cluster wait for each other
			UpdateStrategy:      appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: db.ComponentLabels(component.Name)},
				Spec:       c.podSpec(db, component),
			},
		},
	}
	if persistent(db, component) {
		set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{newClaimTemplate(component)}
	}
	if template := component.PodTemplate; template != nil {
		customise(set, template)
	}
	return set
}

// persistent reports whether the component has volumes.
func persistent(db *kubedb.Singlestore, component kubedb.Component) bool {
	return db.Spec.StorageType != kubedb.StorageEphemeral && component.Storage != nil
}

// newClaimTemplate needs no labels of its own: claims get those of the PetSet's selector.
func newClaimTemplate(component kubedb.Component) corev1.PersistentVolumeClaim {
	template := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: kubedb.ClaimTemplateData},
		Spec:       *component.Storage.DeepCopy(),
	}
	if len(template.Spec.AccessModes) == 0 {
		template.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	}
	return template
}

func (c *Controller) podSpec(db *kubedb.Singlestore, component kubedb.Component) corev1.PodSpec {
	spec := corev1.PodSpec{
		ServiceAccountName: db.ServiceAccountName(),
		Containers:         []corev1.Container{c.databaseContainer(db)},
	}
	if component.Name != kubedb.ComponentNode {
		spec.Containers = append(spec.Containers, corev1.Container{
			Name:  kubedb.ContainerCoordinator,
			Image: c.cfg.CoordinatorImage,
			Env:   credentials(db),
		})
	}
	if !persistent(db, component) {
		spec.Volumes = []corev1.Volume{{
			Name:         kubedb.ClaimTemplateData,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		}}
	}
	return spec
}

func (c *Controller) databaseContainer(db *kubedb.Singlestore) corev1.Container {
	image, known := c.cfg.Images[db.Spec.Version]
	if !known {
		image = c.cfg.Image
	}
	container := corev1.Container{
		Name:  kubedb.ContainerSinglestore,
		Image: image,
		Env:   credentials(db),
		Ports: []corev1.ContainerPort{
			{Name: "db", ContainerPort: kubedb.PortDatabase, Protocol: corev1.ProtocolTCP},
			{Name: "studio", ContainerPort: kubedb.PortStudio, Protocol: corev1.ProtocolTCP},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: kubedb.ClaimTemplateData, MountPath: kubedb.DataPath}},
	}
	if license := db.Spec.LicenseSecret; license != nil && license.Name != "" {
		for _, name := range []string{"SINGLESTORE_LICENSE", "LICENSE_KEY"} {
			container.Env = append(container.Env, secretEnv(name, license.Name, corev1.BasicAuthPasswordKey))
		}
	}
	return container
}

func credentials(db *kubedb.Singlestore) []corev1.EnvVar {
	return []corev1.EnvVar{
		secretEnv("ROOT_USERNAME", db.AuthSecretName(), corev1.BasicAuthUsernameKey),
		secretEnv("ROOT_PASSWORD", db.AuthSecretName(), corev1.BasicAuthPasswordKey),
	}
}

func secretEnv(name, secret, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: key,
	}}}
}

// customise applies the user's pod template. Labels by which objects are found cannot be replaced.
func customise(set *kubedb.PetSet, template *kubedb.PodTemplate) {
	set.Labels = withAll(template.Controller.Labels, set.Labels)
	set.Annotations = withAll(set.Annotations, template.Controller.Annotations)
	pod, user := &set.Spec.Template, template.Spec
	pod.Labels = withAll(template.Metadata.Labels, pod.Labels)
	pod.Annotations = withAll(pod.Annotations, template.Metadata.Annotations)
	if user.ServiceAccountName != "" {
		pod.Spec.ServiceAccountName = user.ServiceAccountName
	}
	pod.Spec.NodeSelector = maps.Clone(user.NodeSelector)
	pod.Spec.Tolerations = user.Tolerations
	pod.Spec.SecurityContext = user.SecurityContext
	pod.Spec.ImagePullSecrets = user.ImagePullSecrets
	pod.Spec.PriorityClassName = user.PriorityClassName
	pod.Spec.SchedulerName = user.SchedulerName
	pod.Spec.TerminationGracePeriodSeconds = user.TerminationGracePeriodSeconds
	for _, container := range user.Containers {
		mergeContainer(&pod.Spec, container)
	}
}

// mergeContainer adds a container, or what a user may set in one of the database's.
func mergeContainer(pod *corev1.PodSpec, user corev1.Container) {
	at := slices.IndexFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == user.Name })
	if at < 0 {
		pod.Containers = append(pod.Containers, user)
		return
	}
	container := &pod.Containers[at]
	container.Args = user.Args
	container.Env = append(container.Env, user.Env...)
	container.Resources = user.Resources
	container.SecurityContext = user.SecurityContext
	container.LivenessProbe, container.ReadinessProbe = user.LivenessProbe, user.ReadinessProbe
	container.Lifecycle = user.Lifecycle
}
