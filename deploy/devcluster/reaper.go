// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
)

// kubeletClient removes the very pods that are being deleted, as a kubelet does.
// kwok removes pods by name: what it decided of one that is gone by then would hit
// its successor.
type kubeletClient struct{ kubernetes.Interface }

// CoreV1 implements kubernetes.Interface.
func (c kubeletClient) CoreV1() coreclient.CoreV1Interface {
	return kubeletCore{c.Interface.CoreV1()}
}

type kubeletCore struct{ coreclient.CoreV1Interface }

// Pods implements coreclient.PodsGetter.
func (c kubeletCore) Pods(namespace string) coreclient.PodInterface {
	return kubeletPods{c.CoreV1Interface.Pods(namespace)}
}

type kubeletPods struct{ coreclient.PodInterface }

// Delete removes the pod if it is being deleted.
func (p kubeletPods) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	gone := apierrors.NewNotFound(corev1.Resource("pods"), name)
	pod, err := p.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if pod.DeletionTimestamp == nil {
		return gone
	}
	options.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	if err := p.PodInterface.Delete(ctx, name, options); !apierrors.IsConflict(err) {
		return err
	}
	return gone
}
