// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// namespace is where everything happens.
const namespace = "bench"

// side is how many requests the bench itself sends side by side: enough that it
// is not what is waited for.
const side = 32

// shape is what a database looks like, and what of it grows.
type shape struct {
	name string
	// aggregators and leaves are how many pods with a volume each; no leaves
	// means a single node.
	aggregators, leaves int32
	// grow lists the components that grow.
	grow []string
	// mode is how. Offline, the driver refuses to expand a volume in use.
	mode kubedb.VolumeExpansionMode
}

// shapes are those that can be chosen. A cluster of KubeDB always has an
// aggregator; in shape one it does not grow.
var shapes = map[string]shape{
	"one":     {"one", 1, 3, []string{kubedb.ComponentLeaf}, kubedb.ModeOnline},
	"two":     {"two", 1, 2, []string{kubedb.ComponentAggregator, kubedb.ComponentLeaf}, kubedb.ModeOnline},
	"node":    {"node", 0, 0, []string{kubedb.ComponentNode}, kubedb.ModeOnline},
	"offline": {"offline", 1, 3, []string{kubedb.ComponentLeaf}, kubedb.ModeOffline},
}

func (s shape) offline() bool { return s.mode == kubedb.ModeOffline }

func shapeNames() []string { return slices.Sorted(maps.Keys(shapes)) }

// firstGi is the size of every volume at the beginning.
const firstGi = 10

// database is one of the shape, new.
func (s shape) database(name string) *kubedb.Singlestore {
	storage := &corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: gibibytes(firstGi)}},
	}
	db := &kubedb.Singlestore{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: kubedb.SinglestoreSpec{
			Version: "8.7.10", StorageType: kubedb.StorageDurable,
			LicenseSecret: &kubedb.SecretReference{Kind: "Secret", Name: "license-secret"},
		},
	}
	if s.leaves == 0 {
		db.Spec.Storage = storage
		return db
	}
	db.Spec.Topology = &kubedb.Topology{
		Aggregator: &kubedb.Node{Replicas: &s.aggregators, Storage: storage},
		Leaf:       &kubedb.Node{Replicas: &s.leaves, Storage: storage},
	}
	return db
}

// request asks for the growth of a database.
func (s shape) request(database string, size resource.Quantity) *kubedb.SinglestoreOpsRequest {
	expansion := &kubedb.VolumeExpansion{Mode: s.mode}
	for _, component := range s.grow {
		switch component {
		case kubedb.ComponentAggregator:
			expansion.Aggregator = &size
		case kubedb.ComponentLeaf:
			expansion.Leaf = &size
		default:
			expansion.Node = &size
		}
	}
	return &kubedb.SinglestoreOpsRequest{
		ObjectMeta: metav1.ObjectMeta{Name: database, Namespace: namespace},
		Spec: kubedb.SinglestoreOpsRequestSpec{
			DatabaseRef: corev1.LocalObjectReference{Name: database}, Type: kubedb.TypeVolumeExpansion, VolumeExpansion: expansion,
		},
	}
}

// claims lists the claims of a database that grow, and the pods that use them.
func (s shape) claims(db *kubedb.Singlestore, sets map[string]*kubedb.PetSet) (claims, pods []string) {
	for _, component := range db.Components() {
		if set := sets[component.Workload]; set != nil && slices.Contains(s.grow, component.Name) {
			claims, pods = append(claims, set.Workload().ClaimNames()...), append(pods, set.Workload().PodNames()...)
		}
	}
	return claims, pods
}

func gibibytes(n int) resource.Quantity { return resource.MustParse(fmt.Sprintf("%dGi", n)) }

// createDatabases creates the databases and waits until all are Ready.
func (b *bench) createDatabases(ctx context.Context) error {
	_, err := b.stack.Clients.Core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if err := b.view.start(ctx); err != nil {
		return err
	}
	for names := range slices.Chunk(b.names(), together) {
		if err := b.createSome(ctx, names); err != nil {
			return fmt.Errorf("create databases: %w", err)
		}
	}
	return b.listClaims(ctx)
}

// together is how many databases are made at once: the scheduler tries every pod
// that waits for its volumes again whenever one of the others has got its own.
const together = 40

// createSome creates databases and waits until they are Ready.
func (b *bench) createSome(ctx context.Context, names []string) error {
	race := newRace(len(names))
	stop := b.view.onDatabase(func(db *kubedb.Singlestore) {
		if db.Status.Phase == kubedb.DatabaseReady {
			race.end(db.Name)
		}
	})
	defer stop()
	err := each(ctx, names, func(ctx context.Context, name string) error {
		race.begin(name)
		_, err := b.stack.Clients.KubeDB.Singlestores(namespace).Create(ctx, b.shape.database(name), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return race.wait(ctx, fmt.Sprintf("N=%d: databases from %s on Ready", b.n, names[0]))
}

// listClaims finds the claims that grow.
func (b *bench) listClaims(ctx context.Context) error {
	list, err := b.stack.Clients.KubeDB.PetSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	sets := map[string]*kubedb.PetSet{}
	for i := range list.Items {
		sets[list.Items[i].Name] = &list.Items[i]
	}
	b.claims, b.pods, b.owner = map[string][]string{}, map[string][]string{}, map[string]string{}
	for _, name := range b.names() {
		claims, pods := b.shape.claims(b.shape.database(name), sets)
		if len(claims) == 0 {
			return fmt.Errorf("database %s has no claims that grow", name)
		}
		b.claims[name], b.pods[name] = claims, pods
		for _, claim := range claims {
			b.owner[claim] = name
		}
	}
	return nil
}

func (b *bench) names() []string {
	names := make([]string, b.n)
	for i := range names {
		names[i] = fmt.Sprintf("db%d", i)
	}
	return names
}

// each calls do for every item, side of them at once.
func each[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(side)
	for _, item := range items {
		group.Go(func() error { return do(ctx, item) })
	}
	return group.Wait()
}
