// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/deploy/devcluster/csidriver"
)

// Annotations that Kubernetes, provisioners and the resizer understand.
const (
	annotationProvisioner   = "volume.kubernetes.io/storage-provisioner"
	annotationSelectedNode  = "volume.kubernetes.io/selected-node"
	annotationProvisionedBy = "pv.kubernetes.io/provisioned-by"
)

const provisionWorkers = 16

// provisioner makes volumes for claims, and deletes those whose claim is gone.
type provisioner struct {
	client  kubernetes.Interface
	driver  csi.ControllerClient
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	classes storagelisters.StorageClassLister
	create  *workQueue
	remove  *workQueue
}

func newProvisioner(client kubernetes.Interface, driver *driverClient, shared informers.SharedInformerFactory) *provisioner {
	claims, volumes := shared.Core().V1().PersistentVolumeClaims(), shared.Core().V1().PersistentVolumes()
	p := &provisioner{
		client: client, driver: driver,
		claims: claims.Lister(), volumes: volumes.Lister(), classes: shared.Storage().V1().StorageClasses().Lister(),
	}
	p.create = newWorkQueue("provisioner", provisionWorkers, p.provision)
	p.remove = newWorkQueue("deleter", provisionWorkers, p.delete)
	// Handlers can only be refused by informers that were stopped.
	_, _ = claims.Informer().AddEventHandler(onChange(func(claim *corev1.PersistentVolumeClaim) {
		if asksForVolume(claim) {
			p.create.add(cache.MetaObjectToName(claim))
		}
	}))
	_, _ = volumes.Informer().AddEventHandler(onChange(func(volume *corev1.PersistentVolume) {
		if released(volume) {
			p.remove.add(cache.MetaObjectToName(volume))
		}
	}))
	return p
}

func (p *provisioner) run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- p.remove.run(ctx) }()
	err := p.create.run(ctx)
	<-done
	return err
}

// asksForVolume tells whether the volume controller has handed a claim to us.
func asksForVolume(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil &&
		claim.Annotations[annotationProvisioner] == csidriver.Name
}

// released tells whether a volume of ours lost its claim and is to go with it.
func released(volume *corev1.PersistentVolume) bool {
	return volume.Status.Phase == corev1.VolumeReleased && volume.DeletionTimestamp == nil &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete &&
		volume.Annotations[annotationProvisionedBy] == csidriver.Name
}

func (p *provisioner) provision(ctx context.Context, key cache.ObjectName) error {
	claim, err := p.claims.PersistentVolumeClaims(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) || err == nil && !asksForVolume(claim) {
		return nil
	}
	if err != nil {
		return err
	}
	if claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := p.classes.Get(*claim.Spec.StorageClassName)
	if err != nil {
		return fmt.Errorf("read the class of claim %s: %w", key, err)
	}
	if waitsForPod(class) && claim.Annotations[annotationSelectedNode] == "" {
		return nil // the scheduler's choice brings it back
	}
	if _, err := p.volumes.Get(volumeName(claim)); err == nil {
		return nil
	}
	return p.createVolume(ctx, claim, class)
}

func waitsForPod(class *storagev1.StorageClass) bool {
	return class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
}

func volumeName(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

func (p *provisioner) createVolume(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) error {
	parameters := map[string]string{
		csidriver.ParameterClaimNamespace: claim.Namespace,
		csidriver.ParameterClaimName:      claim.Name,
	}
	for name, value := range class.Parameters {
		parameters[name] = value
	}
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	made, err := p.driver.CreateVolume(ctx, &csi.CreateVolumeRequest{
		Name:          volumeName(claim),
		CapacityRange: &csi.CapacityRange{RequiredBytes: size.Value()},
		Parameters:    parameters,
	})
	if err != nil {
		return fmt.Errorf("make a volume for claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	_, err = p.client.CoreV1().PersistentVolumes().Create(ctx, persistentVolume(claim, class, made.GetVolume()), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the volume of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

// persistentVolume is bound to its claim from the start, so that no other takes it.
func persistentVolume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, made *csi.Volume) *corev1.PersistentVolume {
	reclaim := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        volumeName(claim),
			Annotations: map[string]string{annotationProvisionedBy: csidriver.Name},
		},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(made.GetCapacityBytes(), resource.BinarySI)},
			PersistentVolumeReclaimPolicy: reclaim,
			StorageClassName:              class.Name,
			VolumeMode:                    claim.Spec.VolumeMode,
			MountOptions:                  class.MountOptions,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver:       csidriver.Name,
				VolumeHandle: made.GetVolumeId(),
				VolumeAttributes: map[string]string{
					csidriver.ParameterClaimNamespace: claim.Namespace,
					csidriver.ParameterClaimName:      claim.Name,
				},
			}},
		},
	}
}

func (p *provisioner) delete(ctx context.Context, key cache.ObjectName) error {
	volume, err := p.volumes.Get(key.Name)
	if apierrors.IsNotFound(err) || err == nil && (!released(volume) || volume.Spec.CSI == nil) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = p.driver.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: volume.Spec.CSI.VolumeHandle})
	if err != nil {
		return fmt.Errorf("delete volume %s: %w", volume.Name, err)
	}
	err = p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete volume %s: %w", volume.Name, err)
	}
	return nil
}
