// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset

import (
	"context"
	"errors"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/control"
)

// DefaultWorkers is how many sets are worked on at once.
const DefaultWorkers = 4

// Config is what a Controller needs.
type Config struct {
	// Client speaks about PetSets. Required.
	Client *kubedb.Client
	// Kubernetes speaks about pods and claims. Required.
	Kubernetes kubernetes.Interface
	// Namespace limits the controller to one namespace; all by default.
	Namespace string
	// Workers is how many sets are worked on at once; DefaultWorkers by default.
	Workers int
}

// Controller makes pods and claims out of PetSets.
type Controller struct {
	client     *kubedb.Client
	kubernetes kubernetes.Interface
	loop       *control.Loop

	sets, pods, claims cache.Indexer
}

// New returns a controller that has not started.
func New(cfg Config) (*Controller, error) {
	if cfg.Client == nil || cfg.Kubernetes == nil {
		return nil, errors.New("petset: Config needs Client and Kubernetes")
	}
	if cfg.Workers <= 0 {
		cfg.Workers = DefaultWorkers
	}
	c := &Controller{client: cfg.Client, kubernetes: cfg.Kubernetes}
	c.loop = control.New("petset", cfg.Workers, c.sync)

	sets := cfg.Client.PetSetInformer(cfg.Namespace)
	pods := kubedb.NewInformer(cfg.Kubernetes.CoreV1().Pods(cfg.Namespace), &corev1.Pod{})
	claims := kubedb.NewInformer(cfg.Kubernetes.CoreV1().PersistentVolumeClaims(cfg.Namespace), &corev1.PersistentVolumeClaim{})
	if err := pods.AddIndexers(cache.Indexers{bySet: indexBySet}); err != nil {
		return nil, err
	}
	for informer, keys := range map[cache.SharedIndexInformer]control.Keys{
		sets: objectKey, pods: podKey, claims: nil,
	} {
		if err := c.loop.Watch(informer, keys); err != nil {
			return nil, err
		}
	}
	c.sets, c.pods, c.claims = sets.GetIndexer(), pods.GetIndexer(), claims.GetIndexer()
	return c, nil
}

// Run works until ctx is done and returns nil. A controller runs once.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// HasSynced reports whether the controller knows all there is and works.
func (c *Controller) HasSynced() bool { return c.loop.HasSynced() }

// bySet is the index of pods by namespace/name of the set whose name they carry.
const bySet = "petset"

func indexBySet(obj any) ([]string, error) {
	var keys []string
	for _, key := range podKey(obj) {
		keys = append(keys, key.String())
	}
	return keys, nil
}

func objectKey(obj any) []types.NamespacedName {
	object, ok := obj.(metav1.Object)
	if !ok {
		return nil
	}
	return []types.NamespacedName{{Namespace: object.GetNamespace(), Name: object.GetName()}}
}

var podName = regexp.MustCompile(`^(.+)-([0-9]+)$`)

// podKey is the set whose name the pod carries: an orphan has no other sign of where it belongs.
func podKey(obj any) []types.NamespacedName {
	pod, ok := obj.(metav1.Object)
	if !ok {
		return nil
	}
	match := podName.FindStringSubmatch(pod.GetName())
	if match == nil {
		return nil
	}
	return []types.NamespacedName{{Namespace: pod.GetNamespace(), Name: match[1]}}
}
