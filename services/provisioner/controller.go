// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/control"
)

// Defaults of a Config.
const (
	// DefaultImage runs the database; KubeDB has one image for each version.
	DefaultImage = "ghcr.io/appscode-images/singlestore-node:alma-8.7.10-95e2357384"
	// DefaultCoordinatorImage forms the cluster.
	DefaultCoordinatorImage = "ghcr.io/kubedb/singlestore-coordinator:v0.13.0"
	// DefaultWorkers is how many databases are worked on at once.
	DefaultWorkers = 4
)

// Config is what a Controller needs.
type Config struct {
	// Client speaks about databases and PetSets. Required.
	Client *kubedb.Client
	// Kubernetes speaks about Secrets, Services and ServiceAccounts. Required.
	Kubernetes kubernetes.Interface
	// Namespace limits the controller to one namespace; all by default.
	Namespace string
	// Images maps a database's spec.version to its image.
	Images map[string]string
	// Image is for versions that are not in Images; DefaultImage by default.
	Image string
	// CoordinatorImage is DefaultCoordinatorImage by default.
	CoordinatorImage string
	// Workers is how many databases are worked on at once; DefaultWorkers by default.
	Workers int
}

func (cfg *Config) setDefaults() {
	if cfg.Image == "" {
		cfg.Image = DefaultImage
	}
	if cfg.CoordinatorImage == "" {
		cfg.CoordinatorImage = DefaultCoordinatorImage
	}
	if cfg.Workers <= 0 {
		cfg.Workers = DefaultWorkers
	}
}

// Controller provisions Singlestore databases.
type Controller struct {
	cfg  Config
	loop *control.Loop

	databases, petSets, secrets, services, accounts cache.Indexer
}

// New returns a controller that has not started.
func New(cfg Config) (*Controller, error) {
	if cfg.Client == nil || cfg.Kubernetes == nil {
		return nil, errors.New("provisioner: Config needs Client and Kubernetes")
	}
	cfg.setDefaults()
	c := &Controller{cfg: cfg}
	c.loop = control.New("provisioner", cfg.Workers, c.sync)

	core := cfg.Kubernetes.CoreV1()
	for _, watched := range []struct {
		informer cache.SharedIndexInformer
		keys     control.Keys
		cache    *cache.Indexer
	}{
		{cfg.Client.SinglestoreInformer(cfg.Namespace), databaseKey, &c.databases},
		{cfg.Client.PetSetInformer(cfg.Namespace, onlyOurs), instanceKey, &c.petSets},
		{kubedb.NewInformer(core.Secrets(cfg.Namespace), &corev1.Secret{}, onlyOurs), instanceKey, &c.secrets},
		{kubedb.NewInformer(core.Services(cfg.Namespace), &corev1.Service{}, onlyOurs), instanceKey, &c.services},
		{kubedb.NewInformer(core.ServiceAccounts(cfg.Namespace), &corev1.ServiceAccount{}, onlyOurs), instanceKey, &c.accounts},
	} {
		if err := c.loop.Watch(watched.informer, watched.keys); err != nil {
			return nil, err
		}
		*watched.cache = watched.informer.GetIndexer()
	}
	return c, nil
}

// Run works until ctx is done and returns nil. A controller runs once.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// HasSynced reports whether the controller knows all there is and works.
func (c *Controller) HasSynced() bool { return c.loop.HasSynced() }

// onlyOurs narrows an informer to what belongs to Singlestore databases: other people's Secrets are none of our business.
func onlyOurs(options *metav1.ListOptions) {
	options.LabelSelector = labels.Set{
		kubedb.LabelName:      kubedb.NameSinglestore,
		kubedb.LabelManagedBy: kubedb.ManagedByKubeDB,
	}.String()
}

func databaseKey(obj any) []types.NamespacedName {
	object, ok := obj.(metav1.Object)
	if !ok {
		return nil
	}
	return []types.NamespacedName{{Namespace: object.GetNamespace(), Name: object.GetName()}}
}

// instanceKey is the database that an object is labelled with.
func instanceKey(obj any) []types.NamespacedName {
	object, ok := obj.(metav1.Object)
	if !ok || object.GetLabels()[kubedb.LabelInstance] == "" {
		return nil
	}
	return []types.NamespacedName{{Namespace: object.GetNamespace(), Name: object.GetLabels()[kubedb.LabelInstance]}}
}
