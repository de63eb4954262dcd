// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// lists are read beside the database and its volumes, for a request waits for every
// read that comes after another.
type lists struct {
	quotas     func() (*corev1.ResourceQuotaList, error)
	limits     func() (*corev1.LimitRangeList, error)
	capacities func() (*storagev1.CSIStorageCapacityList, error)
}

// readAhead begins to read what the checks will need. The reads end with the context.
func (p *Planner) readAhead(ctx context.Context, namespace string) lists {
	all := metav1.ListOptions{}
	return lists{
		quotas: ahead(func() (*corev1.ResourceQuotaList, error) {
			return p.Core.CoreV1().ResourceQuotas(namespace).List(ctx, all)
		}),
		limits: ahead(func() (*corev1.LimitRangeList, error) {
			return p.Core.CoreV1().LimitRanges(namespace).List(ctx, all)
		}),
		capacities: ahead(func() (*storagev1.CSIStorageCapacityList, error) {
			return p.Core.StorageV1().CSIStorageCapacities(metav1.NamespaceAll).List(ctx, all)
		}),
	}
}

// classesAhead begins to read the StorageClasses that the database names for the
// components, by name. Volumes may be of others, which are read once that is known.
func (p *Planner) classesAhead(ctx context.Context, db *kubedb.Singlestore, components []Component) map[string]func() (*storagev1.StorageClass, error) {
	classes := map[string]func() (*storagev1.StorageClass, error){}
	for _, growing := range components {
		component, _ := db.Component(growing.Name)
		name := component.ClassName()
		if _, begun := classes[name]; kubedb.CheckName(name) == nil && !begun {
			classes[name] = ahead(func() (*storagev1.StorageClass, error) { return p.class(ctx, name) })
		}
	}
	return classes
}

// class reads a StorageClass.
func (p *Planner) class(ctx context.Context, name string) (*storagev1.StorageClass, error) {
	return p.Core.StorageV1().StorageClasses().Get(ctx, name, metav1.GetOptions{})
}

// ahead begins to read, and returns the function that waits for what was read.
func ahead[T any](read func() (T, error)) (wait func() (T, error)) {
	done := make(chan struct{})
	var value T
	var err error
	go func() {
		defer close(done)
		value, err = read()
	}()
	return func() (T, error) {
		<-done
		return value, err
	}
}
