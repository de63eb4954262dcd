// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// adopted waits until every pod of the StatefulSet belongs to it. One that is
// deleted before would take pods with it that the garbage collector believes to be
// its predecessor's (kubernetes#131284).
func (u *Updater) adopted(ctx context.Context, set *kubedb.StatefulSet) error {
	pods := kubedb.NewInformer(u.core.CoreV1().Pods(set.Namespace), &corev1.Pod{}, chosenBy(set))
	return kubedb.Until(ctx, pods, func(store cache.Store) bool {
		return !slices.ContainsFunc(store.List(), func(object any) bool {
			pod := object.(*corev1.Pod)
			owner := metav1.GetControllerOf(pod)
			return isOf(set, pod.Name) && pod.DeletionTimestamp == nil && (owner == nil || owner.UID != set.UID)
		})
	})
}

// released waits until no claim belongs to the StatefulSet, which is so where its
// claims are to stay when it is deleted.
func (u *Updater) released(ctx context.Context, set *kubedb.StatefulSet) error {
	claims := kubedb.NewInformer(u.core.CoreV1().PersistentVolumeClaims(set.Namespace), &corev1.PersistentVolumeClaim{}, chosenBy(set))
	return kubedb.Until(ctx, claims, func(store cache.Store) bool {
		return !slices.ContainsFunc(store.List(), func(object any) bool {
			return ownedBy(object.(*corev1.PersistentVolumeClaim).OwnerReferences, set.UID)
		})
	})
}

func ownedBy(owners []metav1.OwnerReference, uid types.UID) bool {
	return slices.ContainsFunc(owners, func(owner metav1.OwnerReference) bool { return owner.UID == uid })
}

// chosenBy narrows to what has the labels of the StatefulSet's pods and claims.
func chosenBy(set *kubedb.StatefulSet) kubedb.Tweak {
	return func(options *metav1.ListOptions) {
		options.LabelSelector = metav1.FormatLabelSelector(set.Spec.Selector)
	}
}
