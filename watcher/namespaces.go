// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"fmt"
	"sync"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// reasonNamespaceTerminating is Kubernetes' word for a namespace that is being
// deleted.
const reasonNamespaceTerminating = string(corev1.NamespaceTerminatingCause)

// newNamespaces returns an informer of the namespaces that are being deleted, which
// mostly are none. Kubernetes deletes the pods of such a namespace first, and
// requests only when no pod is left: as long as a request holds a pod, nobody
// would delete the request.
func (w *Watcher) newNamespaces() (cache.SharedIndexInformer, error) {
	terminating := fields.OneTermEqualSelector("status.phase", string(corev1.NamespaceTerminating))
	if w.Namespace != "" {
		terminating = fields.AndSelectors(terminating, fields.OneTermEqualSelector(metav1.ObjectNameField, w.Namespace))
	}
	informer := kubedb.NewInformer(w.Core.CoreV1().Namespaces(), &corev1.Namespace{}, func(options *metav1.ListOptions) {
		options.FieldSelector = terminating.String()
	})
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(object any) {
		if namespace, ok := object.(*corev1.Namespace); ok {
			w.lookAtAllIn(namespace.Name)
		}
	}})
	if err == nil {
		var once sync.Once
		err = informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
			if !apierrors.IsForbidden(err) {
				cache.DefaultWatchErrorHandler(ctx, r, err)
				return
			}
			once.Do(func() {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("may not watch namespaces: a request in a namespace that is being deleted goes on until it is deleted itself, which a pod that it holds delays")
			})
		})
	}
	if err != nil {
		return nil, fmt.Errorf("watch namespaces: %w", err)
	}
	return informer, nil
}

// lookAtAllIn has every request of a namespace looked at.
func (w *Watcher) lookAtAllIn(namespace string) {
	keys, err := w.requests.GetIndexer().IndexKeys(cache.NamespaceIndex, namespace)
	if err != nil {
		return // the index is there since New
	}
	for _, key := range keys {
		if namespace, name, err := cache.SplitMetaNamespaceKey(key); err == nil {
			w.loop.AddAfter(types.NamespacedName{Namespace: namespace, Name: name}, 0)
		}
	}
}

// terminating reports whether the namespace is being deleted.
func (w *Watcher) terminating(namespace string) bool {
	_, exists, err := w.namespaces.GetStore().GetByKey(namespace)
	return err == nil && exists
}

// namespaceGoes is why a request in such a namespace is cancelled.
func namespaceGoes(namespace string) events.Failure {
	return events.Failure{Object: "Namespace " + namespace, Reason: reasonNamespaceTerminating, Message: "the namespace is being deleted"}
}
