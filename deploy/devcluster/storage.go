// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/opsrelay/opsrelay/deploy/devcluster/csidriver"
)

// createStorageObjects creates the StorageClasses and the CSIDriver, where they
// are not there from an earlier run.
func createStorageObjects(ctx context.Context, client kubernetes.Interface, attach bool) error {
	for _, class := range storageClasses() {
		_, err := client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create StorageClass %s: %w", class.Name, err)
		}
	}
	return createCSIDriver(ctx, client, attach)
}

// createCSIDriver replaces a CSIDriver of the other kind: whether volumes are
// attached cannot be changed in place.
func createCSIDriver(ctx context.Context, client kubernetes.Interface, attach bool) error {
	drivers := client.StorageV1().CSIDrivers()
	old, err := drivers.Get(ctx, csidriver.Name, metav1.GetOptions{})
	if err == nil && ptr.Deref(old.Spec.AttachRequired, true) == attach {
		return nil
	}
	if err == nil {
		err = drivers.Delete(ctx, csidriver.Name, metav1.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("replace the CSIDriver: %w", err)
	}
	_, err = drivers.Create(ctx, &storagev1.CSIDriver{
		ObjectMeta: metav1.ObjectMeta{Name: csidriver.Name},
		Spec:       storagev1.CSIDriverSpec{AttachRequired: &attach, PodInfoOnMount: ptr.To(false)},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create the CSIDriver: %w", err)
	}
	return nil
}

func storageClasses() []*storagev1.StorageClass {
	online := storageClass("online", storagev1.VolumeBindingWaitForFirstConsumer)
	online.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}

	immediate := storageClass("online-immediate", storagev1.VolumeBindingImmediate)

	nodeExpansion := storageClass("node-expansion", storagev1.VolumeBindingWaitForFirstConsumer)
	nodeExpansion.Parameters = map[string]string{csidriver.ParameterNodeExpansion: "true"}

	fixed := storageClass("fixed", storagev1.VolumeBindingWaitForFirstConsumer)
	fixed.AllowVolumeExpansion = ptr.To(false)

	return []*storagev1.StorageClass{online, immediate, nodeExpansion, fixed}
}

func storageClass(name string, binding storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta:           metav1.ObjectMeta{Name: name},
		Provisioner:          csidriver.Name,
		ReclaimPolicy:        ptr.To(corev1.PersistentVolumeReclaimDelete),
		AllowVolumeExpansion: ptr.To(true),
		VolumeBindingMode:    &binding,
	}
}
