// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// sync makes the pods and claims of one set what its spec says, as far as its policies allow right now.
func (c *Controller) sync(ctx context.Context, key types.NamespacedName) error {
	cached, exists, err := c.sets.GetByKey(key.String())
	if err != nil || !exists {
		return err // the garbage collector removes, or orphans, the pods of a set that is gone
	}
	set := cached.(*kubedb.PetSet)
	if err := set.Invalid(); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Stringer("object", key).Msg("set left alone")
		return nil
	}
	if set.Spec.Distributed {
		return nil
	}
	pods, err := c.podsOf(ctx, set)
	if err != nil {
		return err
	}
	revision := Revision(set)
	now := time.Now()
	var planErr error
	if set.DeletionTimestamp == nil {
		planErr = c.carryOut(ctx, set, plan(set, pods, revision, now))
	}
	if wait := untilAvailable(set, pods, now); wait > 0 {
		c.loop.AddAfter(key, wait)
	}
	return errors.Join(planErr, c.writeStatus(ctx, set, pods, revision, now))
}

// podsOf lists the pods the set owns, after it has adopted those that are its own but for an owner.
func (c *Controller) podsOf(ctx context.Context, set *kubedb.PetSet) ([]*corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("selector of %s: %w", set.Name, err)
	}
	found, err := c.pods.ByIndex(bySet, set.Namespace+"/"+set.Name)
	if err != nil {
		return nil, err
	}
	var owned, orphans []*corev1.Pod
	for _, object := range found {
		pod := object.(*corev1.Pod)
		if !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		switch owner := metav1.GetControllerOf(pod); {
		case owner == nil && pod.DeletionTimestamp == nil && set.DeletionTimestamp == nil:
			orphans = append(orphans, pod)
		case owner != nil && owner.UID == set.UID:
			owned = append(owned, pod)
		}
	}
	if len(orphans) == 0 {
		return owned, nil
	}
	adopted, err := c.adopt(ctx, set, orphans)
	return append(owned, adopted...), err
}

// carryOut does what the plan says, in its order.
func (c *Controller) carryOut(ctx context.Context, set *kubedb.PetSet, steps []step) error {
	for _, step := range steps {
		var err error
		switch step.action {
		case createClaims:
			err = c.createClaims(ctx, set, step.ordinal)
		case createPod:
			if err = c.createClaims(ctx, set, step.ordinal); err == nil {
				err = c.createPod(ctx, set, step.ordinal)
			}
		case deletePod:
			err = c.deletePod(ctx, set, step.pod)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) createPod(ctx context.Context, set *kubedb.PetSet, ordinal int) error {
	pod := newPod(set, ordinal, Revision(set))
	_, err := c.kubernetes.CoreV1().Pods(set.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return c.nameTaken(set, pod.Name)
	}
	if err != nil {
		return fmt.Errorf("create pod %s: %w", pod.Name, err)
	}
	zerolog.Ctx(ctx).Info().Str("namespace", set.Namespace).Str("pod", pod.Name).Msg("pod created")
	return nil
}

// nameTaken tells a cache that has not seen our own pod yet, whose event will come, from somebody else's pod.
func (c *Controller) nameTaken(set *kubedb.PetSet, name string) error {
	object, exists, err := c.pods.GetByKey(set.Namespace + "/" + name)
	if err != nil || !exists || metav1.IsControlledBy(object.(*corev1.Pod), set) {
		return err
	}
	return fmt.Errorf("create pod %s: there is one that does not belong to the set", name)
}

func (c *Controller) createClaims(ctx context.Context, set *kubedb.PetSet, ordinal int) error {
	for _, claim := range newClaims(set, ordinal) {
		object, exists, err := c.claims.GetByKey(claim.Namespace + "/" + claim.Name)
		if err != nil {
			return err
		}
		if exists && object.(*corev1.PersistentVolumeClaim).DeletionTimestamp != nil {
			return fmt.Errorf("claim %s is being deleted", claim.Name)
		}
		if exists {
			continue
		}
		_, err = c.kubernetes.CoreV1().PersistentVolumeClaims(set.Namespace).Create(ctx, claim, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create claim %s: %w", claim.Name, err)
		}
		zerolog.Ctx(ctx).Info().Str("namespace", set.Namespace).Str("claim", claim.Name).Msg("claim created")
	}
	return nil
}

func (c *Controller) deletePod(ctx context.Context, set *kubedb.PetSet, pod *corev1.Pod) error {
	err := c.kubernetes.CoreV1().Pods(set.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone, or another pod by now: its event will come
	}
	if err != nil {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	zerolog.Ctx(ctx).Info().Str("namespace", set.Namespace).Str("pod", pod.Name).Msg("pod deleted")
	return nil
}
