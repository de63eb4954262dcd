// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package invariant

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/updater"
)

// statefulSets holds I2 for StatefulSets: one that is gone has a successor, or there
// is the intent to recreate it, and that one has the same pod template. One that is
// being deleted is there.
func (c *Checker) statefulSets() cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			set := object.(*kubedb.StatefulSet)
			c.mu.Lock()
			before := c.absent[set.Name]
			delete(c.absent, set.Name)
			c.mu.Unlock()
			if before != nil {
				c.sameTemplate(before, set)
			}
		},
		UpdateFunc: func(before, after any) { c.sameTemplate(before.(*kubedb.StatefulSet), after.(*kubedb.StatefulSet)) },
		DeleteFunc: func(object any) {
			set, ok := object.(*kubedb.StatefulSet)
			if !ok {
				return
			}
			c.mu.Lock()
			c.absent[set.Name] = set
			c.mu.Unlock()
			if !c.isExcused(set.Name) && !c.isDropped(set.Labels[kubedb.LabelInstance]) {
				c.succeeded(set)
			}
		},
	}
}

func (c *Checker) sameTemplate(was, is *kubedb.StatefulSet) {
	if !c.isExcused(is.Name) && !equality.Semantic.DeepEqual(was.Spec.Template, is.Spec.Template) {
		c.violate("I2: the pod template of StatefulSet %s was changed", is.Name)
	}
}

// succeeded requires an intent or, for it may be carried out by now, a successor.
func (c *Checker) succeeded(set *kubedb.StatefulSet) {
	ctx := context.Background()
	_, err := c.options.Core.AppsV1().ControllerRevisions(set.Namespace).Get(ctx, updater.IntentName(set.Name), metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return
	}
	if _, err := c.options.Client.StatefulSets(set.Namespace).Get(ctx, set.Name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
		c.violate("I2: StatefulSet %s is gone, and there is no intent to recreate it", set.Name)
	}
}
