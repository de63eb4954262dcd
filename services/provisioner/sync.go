// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// sync makes what one database consists of, unless it is paused, and then says in its status how it is.
func (c *Controller) sync(ctx context.Context, key types.NamespacedName) error {
	cached, exists, err := c.databases.GetByKey(key.String())
	if err != nil || !exists {
		return err
	}
	db := cached.(*kubedb.Singlestore)
	if db.DeletionTimestamp != nil {
		return nil // the garbage collector does the rest
	}
	if err := db.Invalid(); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Stringer("object", key).Msg("database left alone")
		return nil
	}
	var provisionErr error
	if !kubedb.IsPaused(db) && !db.Spec.Halted {
		provisionErr = c.provision(ctx, db)
	}
	return errors.Join(provisionErr, c.writeStatus(ctx, db))
}

// provision makes what is missing and patches what differs.
func (c *Controller) provision(ctx context.Context, db *kubedb.Singlestore) error {
	for _, ensure := range []func(context.Context, *kubedb.Singlestore) error{
		c.ensureServiceAccount, c.ensureAuthSecret, c.ensureServices,
	} {
		if err := ensure(ctx, db); err != nil {
			return err
		}
	}
	for _, component := range db.Components() {
		if err := c.ensurePetSet(ctx, db, component); err != nil {
			return err
		}
	}
	return nil
}

// create makes an object that is not in the cache. Finding it there after all is no error: either the cache is behind,
// or a user made it, and then it is the user's.
func create[T metav1.Object](
	ctx context.Context, known cache.Indexer, kind string, object T,
	post func(context.Context, T, metav1.CreateOptions) (T, error),
) error {
	_, exists, err := known.GetByKey(object.GetNamespace() + "/" + object.GetName())
	if err != nil || exists {
		return err
	}
	_, err = post(ctx, object, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create %s %s: %w", kind, object.GetName(), err)
	}
	zerolog.Ctx(ctx).Info().Str("kind", kind).Str("namespace", object.GetNamespace()).Str("name", object.GetName()).Msg("created")
	return nil
}

func objectMeta(db *kubedb.Singlestore, name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:       db.Namespace,
		Name:            name,
		Labels:          labels,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(db, kubedb.DatabaseGroupVersion.WithKind(kubedb.KindSinglestore))},
	}
}
