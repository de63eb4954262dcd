// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/deploy/devcluster/csidriver"
)

const attachWorkers = 8

// attacher says of every volume that it is attached as soon as the attach
// controller asks for it. There is nothing to do for it.
type attacher struct {
	client      kubernetes.Interface
	attachments storagelisters.VolumeAttachmentLister
	queue       *workQueue
}

func newAttacher(client kubernetes.Interface, shared informers.SharedInformerFactory) *attacher {
	attachments := shared.Storage().V1().VolumeAttachments()
	a := &attacher{client: client, attachments: attachments.Lister()}
	a.queue = newWorkQueue("attacher", attachWorkers, a.attach)
	_, _ = attachments.Informer().AddEventHandler(onChange(func(attachment *storagev1.VolumeAttachment) {
		if asksForAttach(attachment) {
			a.queue.add(cache.MetaObjectToName(attachment))
		}
	}))
	return a
}

func (a *attacher) run(ctx context.Context) error { return a.queue.run(ctx) }

func asksForAttach(attachment *storagev1.VolumeAttachment) bool {
	return attachment.Spec.Attacher == csidriver.Name && !attachment.Status.Attached && attachment.DeletionTimestamp == nil
}

func (a *attacher) attach(ctx context.Context, key cache.ObjectName) error {
	attachment, err := a.attachments.Get(key.Name)
	if apierrors.IsNotFound(err) || err == nil && !asksForAttach(attachment) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = a.client.StorageV1().VolumeAttachments().Patch(ctx, key.Name, types.MergePatchType,
		[]byte(`{"status":{"attached":true}}`), metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("attach %s: %w", key.Name, err)
	}
	return nil
}
