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
	subscribers

	informer cache.SharedIndexInformer
	// nodeRefusals counts for each claim how often its node was seen to refuse a growth
	// for good: the condition that says so keeps the time of the first.
	nodeRefusals sync.Map // types.UID -> int
}

// NewClaims returns a view of the claims of a namespace, or of all if it is
// empty. It is live once Run runs; it needs list and watch on claims.
func NewClaims(core kubernetes.Interface, namespace string) (*Claims, error) {
	c := &Claims{informer: kubedb.NewInformer(core.CoreV1().PersistentVolumeClaims(namespace), &corev1.PersistentVolumeClaim{})}
	// Thousands of claims are held: only what is judged is kept.
	if err := c.informer.SetTransform(slim); err != nil {
		return nil, fmt.Errorf("watch claims: %w", err)
	}
	_, err := c.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: c.notify,
		UpdateFunc: func(before, after any) {
			c.countRefusal(before.(*corev1.PersistentVolumeClaim), after.(*corev1.PersistentVolumeClaim))
			c.notify(after)
		},
		DeleteFunc: func(object any) {
			if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
				c.nodeRefusals.Delete(claim.UID)
			}
			c.notify(object)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch claims: %w", err)
	}
	return c, nil
}

// countRefusal counts the change of a claim if its node refuses it with that. It is
// called for one change after the other.
func (c *Claims) countRefusal(before, after *corev1.PersistentVolumeClaim) {
	const refused = corev1.PersistentVolumeClaimNodeResizeInfeasible
	if growthOf(after) == refused && growthOf(before) != refused {
		c.nodeRefusals.Store(after.UID, c.refusalsByNode(after)+1)
	}
}

// refusalsByNode is how often the claim's node was seen to refuse its growth for good.
func (c *Claims) refusalsByNode(claim *corev1.PersistentVolumeClaim) int {
	count, _ := c.nodeRefusals.Load(claim.UID)
	n, _ := count.(int)
	return n
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

// in lists the claims of a namespace as they were last seen, in no order. They
// are shared: not to be changed.
func (c *Claims) in(namespace string) []*corev1.PersistentVolumeClaim {
	objects, err := c.informer.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
	if err != nil {
		return nil // every informer has that index
	}
	claims := make([]*corev1.PersistentVolumeClaim, len(objects))
	for i, object := range objects {
		claims[i] = object.(*corev1.PersistentVolumeClaim)
	}
	return claims
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
			DeletionTimestamp: claim.DeletionTimestamp, Labels: claim.Labels,
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			Resources: claim.Spec.Resources, VolumeName: claim.Spec.VolumeName, StorageClassName: claim.Spec.StorageClassName,
		},
		Status: claim.Status,
	}
	for _, name := range []string{kubedb.AnnotationExpansions, kubedb.AnnotationExpandedFor} {
		if value, ok := claim.Annotations[name]; ok {
			metav1.SetMetaDataAnnotation(&slim.ObjectMeta, name, value)
		}
	}
	return slim, nil
}
