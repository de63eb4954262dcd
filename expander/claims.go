// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Claims is a live view of the persistent volume claims: one watch for all who
// wait, however many they are.
type Claims struct {
	informer cache.SharedIndexInformer

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{} // namespace/name -> who wants to know
}

// NewClaims returns a view of the claims of a namespace, or of all if it is
// empty. It is live once Run runs; it needs list and watch on claims.
func NewClaims(core kubernetes.Interface, namespace string) (*Claims, error) {
	c := &Claims{
		informer: kubedb.NewInformer(core.CoreV1().PersistentVolumeClaims(namespace), &corev1.PersistentVolumeClaim{}),
		waiting:  map[string]map[chan struct{}]struct{}{},
	}
	// Thousands of claims are held: only what is judged is kept.
	if err := c.informer.SetTransform(slim); err != nil {
		return nil, fmt.Errorf("watch claims: %w", err)
	}
	_, err := c.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    c.notify,
		UpdateFunc: func(_, object any) { c.notify(object) },
		DeleteFunc: c.notify,
	})
	if err != nil {
		return nil, fmt.Errorf("watch claims: %w", err)
	}
	return c, nil
}

// Run keeps the view live until the context ends.
func (c *Claims) Run(ctx context.Context) { c.informer.RunWithContext(ctx) }

// HasSynced reports whether the view is complete.
func (c *Claims) HasSynced() bool { return c.informer.HasSynced() }

// get returns the claim as it was last seen, or nil. It is shared: not to be
// changed.
func (c *Claims) get(namespace, name string) *corev1.PersistentVolumeClaim {
	object, exists, err := c.informer.GetStore().GetByKey(namespace + "/" + name)
	if err != nil || !exists {
		return nil // the store's only error is a malformed key
	}
	return object.(*corev1.PersistentVolumeClaim)
}

// subscribe returns a channel that gets a value after any of the claims changed.
// Changes that nobody has looked at yet count as one. stop must be called.
func (c *Claims) subscribe(namespace string, names []string) (changed chan struct{}, stop func()) {
	channel := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		key := namespace + "/" + name
		if c.waiting[key] == nil {
			c.waiting[key] = map[chan struct{}]struct{}{}
		}
		c.waiting[key][channel] = struct{}{}
	}
	return channel, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, name := range names {
			key := namespace + "/" + name
			if delete(c.waiting[key], channel); len(c.waiting[key]) == 0 {
				delete(c.waiting, key)
			}
		}
	}
}

func (c *Claims) notify(object any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		return // not an object: the informer hands out nothing else
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for channel := range c.waiting[key] {
		select {
		case channel <- struct{}{}:
		default: // a change is waiting to be looked at already
		}
	}
}

// slim drops what is not judged.
func slim(object any) (any, error) {
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return object, nil
	}
	slim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: claim.Name, Namespace: claim.Namespace, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			DeletionTimestamp: claim.DeletionTimestamp,
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			Resources: claim.Spec.Resources, VolumeName: claim.Spec.VolumeName, StorageClassName: claim.Spec.StorageClassName,
		},
		Status: claim.Status,
	}
	if times, ok := claim.Annotations[kubedb.AnnotationExpansions]; ok {
		slim.Annotations = map[string]string{kubedb.AnnotationExpansions: times}
	}
	return slim, nil
}
