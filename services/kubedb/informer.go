// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Tweak narrows what an informer lists and watches, e.g. by a field or label selector.
type Tweak func(*metav1.ListOptions)

// SinglestoreInformer returns an informer of the databases of a namespace ("" for all), indexed by cache.NamespaceIndex.
// It never re-lists on its own account: a change is an event, and a broken watch is resumed or listed again.
func (c *Client) SinglestoreInformer(namespace string, tweaks ...Tweak) cache.SharedIndexInformer {
	return NewInformer(c.Singlestores(namespace), &Singlestore{}, tweaks...)
}

// SinglestoreOpsRequestInformer returns an informer of the requests of a namespace, like SinglestoreInformer.
func (c *Client) SinglestoreOpsRequestInformer(namespace string, tweaks ...Tweak) cache.SharedIndexInformer {
	return NewInformer(c.SinglestoreOpsRequests(namespace), &SinglestoreOpsRequest{}, tweaks...)
}

// PetSetInformer returns an informer of the PetSets of a namespace, like SinglestoreInformer.
func (c *Client) PetSetInformer(namespace string, tweaks ...Tweak) cache.SharedIndexInformer {
	return NewInformer(c.PetSets(namespace), &PetSet{}, tweaks...)
}

// StatefulSetInformer returns an informer of the StatefulSets of a namespace, like SinglestoreInformer.
func (c *Client) StatefulSetInformer(namespace string, tweaks ...Tweak) cache.SharedIndexInformer {
	return NewInformer(c.StatefulSets(namespace), &StatefulSet{}, tweaks...)
}

// ListWatcher lists and watches one kind; every typed client of client-go and of this package does.
//
// +k8s:deepcopy-gen=false
type ListWatcher[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// NewInformer returns an informer of what client lists and watches, narrowed by tweaks and indexed by namespace. example
// is an empty object of the kind. What it holds has no managed fields; a transform of the caller's takes the place of that.
// What it cannot list or watch it reports to the [Watches] of the context that it runs with.
func NewInformer[L runtime.Object](
	client ListWatcher[L], example runtime.Object, tweaks ...Tweak,
) cache.SharedIndexInformer {
	tweak := func(options metav1.ListOptions) metav1.ListOptions {
		for _, apply := range tweaks {
			apply(&options)
		}
		return options
	}
	source := &cache.ListWatch{}
	source.ListWithContextFunc = func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list, err := client.List(ctx, tweak(options))
		report(ctx, source, err)
		return list, err
	}
	source.WatchFuncWithContext = func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		watching, err := client.Watch(ctx, tweak(options))
		report(ctx, source, err)
		return watching, err
	}
	informer := cache.NewSharedIndexInformer(source, example, 0, cache.Indexers{
		cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
	})
	if err := informer.SetTransform(withoutManagedFields); err != nil {
		panic(err) // it refuses once it runs, and nobody else has it yet
	}
	return informer
}

// withoutManagedFields drops who wrote which field: often the larger half of an object, and nobody here asks.
func withoutManagedFields(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}
