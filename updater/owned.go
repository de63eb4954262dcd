// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// release has every pod and every claim let go of the StatefulSet that still
// belongs to it. The garbage collector does so before, for those it knows of; one
// that it missed, a pod that was adopted a moment ago for one, it would delete when
// the StatefulSet is gone (kubernetes#131284).
func (u *Updater) release(ctx context.Context, set *kubedb.StatefulSet) error {
	chosen := metav1.ListOptions{}
	chosenBy(set)(&chosen)
	pods, err := u.core.CoreV1().Pods(set.Namespace).List(ctx, chosen)
	if err != nil {
		return fmt.Errorf("list the pods of %s: %w", nameOf(set), err)
	}
	for i := range pods.Items {
		if err := u.releasePod(ctx, &pods.Items[i], set.UID); err != nil {
			return err
		}
	}
	claims, err := u.core.CoreV1().PersistentVolumeClaims(set.Namespace).List(ctx, chosen)
	if err != nil {
		return fmt.Errorf("list the claims of %s: %w", nameOf(set), err)
	}
	for i := range claims.Items {
		if err := u.releaseClaim(ctx, &claims.Items[i], set.UID); err != nil {
			return err
		}
	}
	return nil
}

func (u *Updater) releasePod(ctx context.Context, pod *corev1.Pod, owner types.UID) error {
	patch, err := disown(&pod.ObjectMeta, owner)
	if err != nil || patch == nil {
		return err
	}
	zerolog.Ctx(ctx).Warn().Str("pod", pod.Namespace+"/"+pod.Name).Msg("the garbage collector has not let the pod go, which is done now")
	_, err = u.core.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	return ignoreNotFound(err)
}

func (u *Updater) releaseClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim, owner types.UID) error {
	patch, err := disown(&claim.ObjectMeta, owner)
	if err != nil || patch == nil {
		return err
	}
	zerolog.Ctx(ctx).Warn().Str("claim", claim.Namespace+"/"+claim.Name).Msg("the garbage collector has not let the claim go, which is done now")
	_, err = u.core.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	return ignoreNotFound(err)
}

// disown is a patch that takes the owner reference away, unless the object was
// changed since it was read; nil if it has none.
func disown(object *metav1.ObjectMeta, owner types.UID) ([]byte, error) {
	if !ownedBy(object.OwnerReferences, owner) {
		return nil, nil
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": object.UID, "resourceVersion": object.ResourceVersion,
		"ownerReferences": slices.DeleteFunc(slices.Clone(object.OwnerReferences), func(is metav1.OwnerReference) bool { return is.UID == owner }),
	}})
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// isAdopted reports whether every pod of the StatefulSet belongs to it.
func (u *Updater) isAdopted(ctx context.Context, set *kubedb.StatefulSet) (bool, error) {
	chosen := metav1.ListOptions{}
	chosenBy(set)(&chosen)
	pods, err := u.core.CoreV1().Pods(set.Namespace).List(ctx, chosen)
	if err != nil {
		return false, fmt.Errorf("list the pods of %s: %w", nameOf(set), err)
	}
	for i := range pods.Items {
		if isStranger(&pods.Items[i], set) {
			return false, nil
		}
	}
	return true, nil
}

// adopted waits until every pod of the StatefulSet belongs to it.
func (u *Updater) adopted(ctx context.Context, set *kubedb.StatefulSet) error {
	pods := kubedb.NewInformer(u.core.CoreV1().Pods(set.Namespace), &corev1.Pod{}, chosenBy(set))
	return kubedb.Until(ctx, pods, func(store cache.Store) bool {
		return !slices.ContainsFunc(store.List(), func(object any) bool { return isStranger(object.(*corev1.Pod), set) })
	})
}

// isStranger reports whether a pod that is the StatefulSet's by its name does not
// belong to it.
func isStranger(pod *corev1.Pod, set *kubedb.StatefulSet) bool {
	return slices.Contains(set.Workload().PodNames(), pod.Name) && pod.DeletionTimestamp == nil && !isControlledBy(pod.OwnerReferences, set.UID)
}

func isControlledBy(owners []metav1.OwnerReference, uid types.UID) bool {
	return slices.ContainsFunc(owners, func(owner metav1.OwnerReference) bool {
		return owner.UID == uid && owner.Controller != nil && *owner.Controller
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

// ownerOf reads the database that the StatefulSet belongs to, by its own word or,
// if that is lost, by the intent's; nil if the database is gone or goes, or if
// there is none.
func (u *Updater) ownerOf(ctx context.Context, set *kubedb.StatefulSet, is *intent) (*kubedb.Singlestore, error) {
	var owner *metav1.OwnerReference
	if set != nil {
		owner = metav1.GetControllerOfNoCopy(set)
	}
	if owner == nil && is != nil && is.next != nil {
		owner = metav1.GetControllerOfNoCopy(is.next)
	}
	if owner == nil || owner.Kind != kubedb.KindSinglestore {
		return nil, nil
	}
	var namespace string
	if set != nil {
		namespace = set.Namespace
	} else {
		namespace = is.revision.Namespace
	}
	db, err := u.client.Singlestores(namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && (db.UID != owner.UID || db.DeletionTimestamp != nil):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Singlestore %s/%s: %w", namespace, owner.Name, err)
	default:
		return db, nil
	}
}
