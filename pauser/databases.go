// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package pauser

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Databases is a live view of the databases' conditions. It may lag behind: what
// is seen here may be written against, for the API server refuses a write to a
// database that was changed since, but it is no proof that nothing is to be
// written.
type Databases struct {
	informer cache.SharedIndexInformer
}

// NewDatabases returns a view of the databases of a namespace, or of all if it is
// empty. It is live while a [Sweeper] runs; it needs list and watch on databases.
func NewDatabases(client *kubedb.Client, namespace string) (*Databases, error) {
	d := &Databases{informer: client.SinglestoreInformer(namespace)}
	if err := d.informer.SetTransform(conditionsOnly); err != nil {
		return nil, fmt.Errorf("watch databases: %w", err)
	}
	return d, nil
}

// get returns the database as it was last seen, or nil. It is shared: not to be
// changed.
func (d *Databases) get(namespace, name string) *kubedb.Singlestore {
	object, exists, err := d.informer.GetStore().GetByKey(namespace + "/" + name)
	if err != nil || !exists {
		return nil // the store's only error is a malformed key
	}
	return object.(*kubedb.Singlestore)
}

// of returns the very database of an operation as it was last seen, or nil.
func (d *Databases) of(op events.Operation) *kubedb.Singlestore {
	db := d.get(op.Database.Namespace, op.Database.Name)
	if db == nil || gone(db, nil, op) {
		return nil
	}
	return db
}

// conditionsOnly keeps of a database its conditions, and what a patch of them
// needs.
func conditionsOnly(object any) (any, error) {
	db, ok := object.(*kubedb.Singlestore)
	if !ok {
		return object, nil
	}
	return &kubedb.Singlestore{
		ObjectMeta: metav1.ObjectMeta{
			Name: db.Name, Namespace: db.Namespace, UID: db.UID, ResourceVersion: db.ResourceVersion, Generation: db.Generation,
			DeletionTimestamp: db.DeletionTimestamp,
		},
		Status: kubedb.SinglestoreStatus{Conditions: db.Status.Conditions},
	}, nil
}
