// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"
)

// WaitSinglestore watches one database until done says so. done is called with each state of the object, and with nil
// when there is no such object. A context that ends first gives its cause.
func (c *Client) WaitSinglestore(ctx context.Context, namespace, name string, done func(*Singlestore) bool) error {
	return wait(ctx, c.SinglestoreInformer(namespace, named(name)), namespace+"/"+name, done)
}

// WaitSinglestoreOpsRequest is [Client.WaitSinglestore] for a request.
func (c *Client) WaitSinglestoreOpsRequest(ctx context.Context, namespace, name string, done func(*SinglestoreOpsRequest) bool) error {
	return wait(ctx, c.SinglestoreOpsRequestInformer(namespace, named(name)), namespace+"/"+name, done)
}

// WaitStatefulSet is [Client.WaitSinglestore] for a StatefulSet.
func (c *Client) WaitStatefulSet(ctx context.Context, namespace, name string, done func(*StatefulSet) bool) error {
	return wait(ctx, c.StatefulSetInformer(namespace, named(name)), namespace+"/"+name, done)
}

// named chooses one object.
func named(name string) Tweak {
	return func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
}

// wait is Until for one object, which informer is about.
func wait[T any](ctx context.Context, informer cache.SharedIndexInformer, key string, done func(*T) bool) error {
	return Until(ctx, informer, func(store cache.Store) bool {
		object, exists, err := store.GetByKey(key)
		if err != nil || !exists {
			return done(nil) // the store's only error is a malformed key
		}
		return done(object.(*T))
	})
}

// Until runs the informer until done says so, which is called when everything is listed and after each change. A context
// that ends first gives its cause.
func Until(ctx context.Context, informer cache.SharedIndexInformer, done func(cache.Store) bool) error {
	watching, stop := context.WithCancel(ctx)
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default: // a change is waiting to be looked at already
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	})
	if err != nil {
		stop()
		return err
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); informer.RunWithContext(watching) }()
	defer func() { stop(); <-stopped }()

	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return context.Cause(ctx)
	}
	for !done(informer.GetStore()) {
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
