// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/deploy/devcluster/csidriver"
)

// clusterUsers tells the driver who uses a volume: a node it is attached to,
// or a pod that has not ended. It asks the API each time, because a watch for
// the few volumes that are only expanded offline would cost more.
type clusterUsers struct {
	kubeconfig string

	once   sync.Once
	client kubernetes.Interface
	err    error
}

// connect is done at the first question: the driver starts before the API.
func (u *clusterUsers) connect() { u.client, u.err = newClient(u.kubeconfig, userDriver) }

// UserOf names a user of the volume, or "".
func (u *clusterUsers) UserOf(ctx context.Context, vol csidriver.Volume) (string, error) {
	if u.once.Do(u.connect); u.err != nil {
		return "", u.err
	}
	attachments, err := u.client.StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, a := range attachments.Items {
		if a.Spec.Source.PersistentVolumeName != nil && *a.Spec.Source.PersistentVolumeName == vol.ID {
			return "node " + a.Spec.NodeName, nil
		}
	}
	pods, err := u.client.CoreV1().Pods(vol.ClaimNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	claim := cache.NewObjectName(vol.ClaimNamespace, vol.ClaimName)
	for i := range pods.Items {
		pod := &pods.Items[i]
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !ended && slices.Contains(claimsOf(pod), claim) {
			return "pod " + pod.Namespace + "/" + pod.Name, nil
		}
	}
	return "", nil
}
