// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package plan says what an operation request would do, or why it cannot be
// done, and touches nothing.
//
// Its rules are those of KubeDB's admission webhook for SinglestoreOpsRequests
// (see Request and sizes), and then what KubeDB does not check and users suffer
// from: a storage that cannot grow is found before anything is paused.
package plan

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Plan is what a request would do.
type Plan struct {
	// Database is the object as it was read.
	Database *kubedb.Singlestore
	// Components lists what grows: aggregators before leaves.
	Components []Component
}

// Component is one part of the database that grows.
type Component struct {
	kubedb.Component
	// From is the size in the database object, To the requested one: Kubernetes
	// quantities, To as the user wrote it.
	From, To string
	// Volumes lists the claims that exist now, in the order of their names'
	// ordinals.
	Volumes []Volume
}

// Volume is one claim that grows.
type Volume struct {
	// Claim is its name.
	Claim string
	// Capacity is what it has now, a Kubernetes quantity; empty while it is not
	// bound.
	Capacity string
	// StorageClass is the name of its class.
	StorageClass string
}

// Planner makes plans. It reads the live API, never a cache: a plan is made
// once, and stale reasons would be told to people.
type Planner struct {
	client *kubedb.Client
	core   kubernetes.Interface
}

// New returns a planner. The clients need get on databases, PetSets, claims and
// StorageClasses.
func New(client *kubedb.Client, core kubernetes.Interface) *Planner {
	return &Planner{client: client, core: core}
}

// Make returns the plan of a request. A request that cannot work gives a
// [*Refusal]; every other error says that the API could not be read, and may be
// tried again.
func (p *Planner) Make(ctx context.Context, request *kubedb.SinglestoreOpsRequest) (Plan, error) {
	if err := request.Invalid(); err != nil {
		return Plan{}, refuse("spec", ReasonInvalidRequest, "it cannot be read: %s", err)
	}
	if err := checkRequest(request); err != nil {
		return Plan{}, err
	}
	name := request.Spec.DatabaseRef.Name
	db, err := p.client.Singlestores(request.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || name == "" {
		return Plan{}, refuse("spec.databaseRef", ReasonDatabaseNotFound, "%s/%s, is invalid or not found", request.Namespace, name)
	}
	if err != nil {
		return Plan{}, fmt.Errorf("read Singlestore %s/%s: %w", request.Namespace, name, err)
	}
	if err := db.Invalid(); err != nil {
		return Plan{}, refuse("spec.databaseRef", ReasonNoStorage, "the spec of Singlestore %s/%s cannot be read: %s", db.Namespace, db.Name, err)
	}
	components, err := checkSizes(db, request)
	if err != nil {
		return Plan{}, err
	}
	for i := range components {
		if err := p.readVolumes(ctx, db.Namespace, &components[i]); err != nil {
			return Plan{}, err
		}
	}
	if err := p.checkClasses(ctx, db.Namespace, components); err != nil {
		return Plan{}, err
	}
	return Plan{Database: db, Components: components}, nil
}

// readVolumes lists the component's claims: workload, claim templates, ordinals.
// A workload that is not there yet has no volumes.
func (p *Planner) readVolumes(ctx context.Context, namespace string, component *Component) error {
	set, err := p.client.PetSets(namespace).Get(ctx, component.Workload, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read PetSet %s/%s: %w", namespace, component.Workload, err)
	}
	if err := set.Invalid(); err != nil {
		return refuse("spec.databaseRef", ReasonNoStorage, "the spec of PetSet %s/%s cannot be read: %s", namespace, set.Name, err)
	}
	names := set.ClaimNames()
	claims := make([]*corev1.PersistentVolumeClaim, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i, name := range names {
		group.Go(func() error {
			claim, err := p.core.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
				return nil
			case err != nil:
				return fmt.Errorf("read claim %s/%s: %w", namespace, name, err)
			}
			claims[i] = claim
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, claim := range claims {
		if claim != nil {
			component.Volumes = append(component.Volumes, volumeOf(claim))
		}
	}
	return nil
}

func volumeOf(claim *corev1.PersistentVolumeClaim) Volume {
	volume := Volume{Claim: claim.Name}
	if capacity, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok {
		volume.Capacity = capacity.String()
	}
	if claim.Spec.StorageClassName != nil {
		volume.StorageClass = *claim.Spec.StorageClassName
	}
	return volume
}

// checkClasses refuses a plan one of whose volumes is of a class that does not
// grow. Each class is read once.
func (p *Planner) checkClasses(ctx context.Context, namespace string, components []Component) error {
	checked := map[string]bool{}
	for _, component := range components {
		for _, volume := range component.Volumes {
			if checked[volume.StorageClass] {
				continue
			}
			if err := p.checkClass(ctx, namespace, component.Name, volume); err != nil {
				return err
			}
			checked[volume.StorageClass] = true
		}
	}
	return nil
}

func (p *Planner) checkClass(ctx context.Context, namespace, component string, volume Volume) error {
	field := "spec.volumeExpansion." + component
	if volume.StorageClass == "" {
		return refuse(field, ReasonNoStorageClass, "claim %s/%s has no StorageClass: a volume that was not provisioned dynamically cannot be expanded", namespace, volume.Claim)
	}
	class, err := p.core.StorageV1().StorageClasses().Get(ctx, volume.StorageClass, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return refuse(field, ReasonNoStorageClass, "StorageClass %s of claim %s/%s does not exist: create it again, with allowVolumeExpansion: true", volume.StorageClass, namespace, volume.Claim)
	}
	if err != nil {
		return fmt.Errorf("read StorageClass %s: %w", volume.StorageClass, err)
	}
	if class.AllowVolumeExpansion == nil || !*class.AllowVolumeExpansion {
		return refuse(field, ReasonExpansionNotAllowed, "StorageClass %s of claim %s/%s does not allow volume expansion: set allowVolumeExpansion: true on it if its driver can expand volumes, and create a new request", volume.StorageClass, namespace, volume.Claim)
	}
	return nil
}
