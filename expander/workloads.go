// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Workloads tells who waits for the volumes of a workload when its spec or its owner
// changed or it was deleted: one watch for all PetSets, and one for all StatefulSets
// from the first on whose volumes grow. Which claims a PetSet has, and whose it is,
// is seen here, too; all else is read from the API server.
type Workloads struct {
	subscribers

	petSets, statefulSets cache.SharedIndexInformer
	begin                 sync.Once
	begun                 chan struct{} // closed when StatefulSets are to be watched
}

// NewWorkloads returns a view of the workloads of a namespace, or of all if it is
// empty. It is live once Run runs; it needs list and watch on PetSets and
// StatefulSets. Nobody has to wait until it is complete: who waits for a workload
// is told when it is first seen, too.
func NewWorkloads(client *kubedb.Client, namespace string) (*Workloads, error) {
	w := &Workloads{
		petSets: client.PetSetInformer(namespace), statefulSets: client.StatefulSetInformer(namespace),
		begun: make(chan struct{}),
	}
	for informer, slim := range map[cache.SharedIndexInformer]cache.TransformFunc{
		w.petSets: claimsOnly, w.statefulSets: metadataOnly,
	} {
		if err := informer.SetTransform(slim); err != nil {
			return nil, fmt.Errorf("watch workloads: %w", err)
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: w.notify,
			UpdateFunc: func(before, after any) {
				if differs(before.(metav1.Object), after.(metav1.Object)) {
					w.notify(after) // and not for each change of its status
				}
			},
			DeleteFunc: w.notify,
		})
		if err != nil {
			return nil, fmt.Errorf("watch workloads: %w", err)
		}
	}
	return w, nil
}

// Run keeps the view live until the context ends.
func (w *Workloads) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { w.petSets.RunWithContext(ctx) })
	select {
	case <-w.begun:
		w.statefulSets.RunWithContext(ctx)
	case <-ctx.Done():
	}
	running.Wait()
}

// follow has workloads of that kind watched.
func (w *Workloads) follow(kind string) {
	if kind == kubedb.KindStatefulSet {
		w.begin.Do(func() { close(w.begun) })
	}
}

// get returns the PetSet as it was last seen; nil if it was not, or its spec cannot
// be read. It knows what decides about claims, and nothing else.
func (w *Workloads) get(namespace, name string) *kubedb.Workload {
	object, exists, err := w.petSets.GetStore().GetByKey(namespace + "/" + name)
	if err != nil || !exists {
		return nil // the store's only error is a malformed key
	}
	return object.(*kubedb.PetSet).Workload()
}

// differs reports whether a workload has another spec, or may have another owner.
func differs(before, after metav1.Object) bool {
	return before.GetGeneration() != after.GetGeneration() ||
		!equality.Semantic.DeepEqual(before.GetOwnerReferences(), after.GetOwnerReferences()) ||
		!maps.Equal(before.GetLabels(), after.GetLabels())
}

// claimsOnly drops all but what decides about a PetSet's claims, and what tells one
// state from another. Of a spec that cannot be read nothing is left: it has no
// claims.
func claimsOnly(object any) (any, error) {
	set, ok := object.(*kubedb.PetSet)
	if !ok {
		return object, nil
	}
	slim := &kubedb.PetSet{
		ObjectMeta: slimMeta(set),
		Spec: kubedb.PetSetSpec{
			Distributed: set.Spec.Distributed, Replicas: set.Spec.Replicas, Ordinals: set.Spec.Ordinals, Selector: set.Spec.Selector,
		},
	}
	for _, template := range set.Spec.VolumeClaimTemplates {
		slim.Spec.VolumeClaimTemplates = append(slim.Spec.VolumeClaimTemplates, corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: template.Name},
		})
	}
	return slim, nil
}

// metadataOnly drops all but what tells one state of a workload from another.
func metadataOnly(object any) (any, error) {
	set, err := meta.Accessor(object)
	if err != nil {
		return object, nil // not a workload: the informer's own notes
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: slimMeta(set)}, nil
}

func slimMeta(set metav1.Object) metav1.ObjectMeta {
	slim := metav1.ObjectMeta{
		Name: set.GetName(), Namespace: set.GetNamespace(), UID: set.GetUID(), ResourceVersion: set.GetResourceVersion(),
		Generation: set.GetGeneration(), OwnerReferences: set.GetOwnerReferences(),
	}
	for _, key := range []string{kubedb.LabelName, kubedb.LabelInstance, kubedb.LabelManagedBy} {
		if value, ok := set.GetLabels()[key]; ok {
			metav1.SetMetaDataLabel(&slim, key, value)
		}
	}
	return slim
}
