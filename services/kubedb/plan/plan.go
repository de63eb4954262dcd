// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package plan says what an operation request would do, what stands in its way,
// and touches nothing. The watcher admits requests by it, and people read it.
//
// Its rules are those of KubeDB's admission webhook for SinglestoreOpsRequests
// (see checkRequest and checkSizes), and then what KubeDB does not check and users
// suffer from: a storage that cannot grow is found before anything is paused.
//
// A finding is Blocking, Waiting or Warning, and what could not be looked at for
// want of a right is a warning: a plan is as good as the rights of whoever asks.
package plan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Plan is what a request would do, and what stands in its way.
type Plan struct {
	// Namespace and Name are the request's.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// DatabaseName is the database's.
	DatabaseName string `json:"database"`
	// Mode is how volumes are grown: Online or Offline.
	Mode kubedb.VolumeExpansionMode `json:"mode,omitempty"`
	// Verdict is the plan in one word.
	Verdict Verdict `json:"verdict"`
	// Components lists what grows: aggregators before leaves.
	Components []Component `json:"components"`
	// Restarts lists the pods that are restarted, in their order; none in mode
	// Online.
	Restarts []string `json:"restarts"`
	// Findings lists what stands in the way, the worst first.
	Findings []Finding `json:"findings"`

	// Database is the object as it was read; nil if there is none.
	Database *kubedb.Singlestore `json:"-"`
}

// Component is one part of the database that grows.
type Component struct {
	// Name is the field of the request that sizes it: node, aggregator, leaf.
	Name string `json:"name"`
	// Workload is the name of the PetSet or StatefulSet that runs it.
	Workload string `json:"workload"`
	// From is the size in the database object, To the requested one: Kubernetes
	// quantities, To as the user wrote it.
	From string `json:"from"`
	To   string `json:"to"`
	// Volumes lists the claims that exist now, in the order of their names'
	// ordinals.
	Volumes []Volume `json:"volumes"`

	size   resource.Quantity // To
	labels map[string]string // of its pods
}

// Planner makes plans. It reads the live API, never a cache: a plan is made
// once, and stale reasons would be told to people.
type Planner struct {
	// Client and Core read; what they are not allowed to read is not checked, and
	// said. They need get on the database.
	Client *kubedb.Client
	Core   kubernetes.Interface
	// Policy is what the cluster's people allow.
	Policy Policy
	// Needs lists what whoever asks must be allowed to do for the request to go on.
	Needs []Right

	granted granted
}

// survey is what the checks look at.
type survey struct {
	*Planner
	lists
	classes    map[string]func() (*storagev1.StorageClass, error) // those that were begun to be read
	request    *kubedb.SinglestoreOpsRequest
	database   *kubedb.Singlestore
	namespace  string
	components []Component
	now        time.Time
}

// check looks at one thing that may stand in the way.
type check func(context.Context, *survey) ([]Finding, error)

// Make returns the plan of a request. An error says that the API could not be
// read, and may be tried again.
func (p *Planner) Make(ctx context.Context, request *kubedb.SinglestoreOpsRequest) (Plan, error) {
	plan := Plan{
		Namespace: request.Namespace, Name: request.Name, DatabaseName: request.Spec.DatabaseRef.Name,
		Components: []Component{}, Restarts: []string{}, Findings: []Finding{}, Verdict: Runnable,
	}
	if request.Spec.VolumeExpansion != nil {
		plan.Mode = request.Spec.VolumeExpansion.Mode
	}
	err := p.fill(ctx, &plan, request)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		plan.add(Finding{Severity: Blocking, Reason: refusal.Reason, Field: refusal.Field, Message: refusal.Message})
		return plan, nil
	}
	return plan, err
}

// fill makes the plan as far as it can be made; a [*Refusal] ends it early.
func (p *Planner) fill(ctx context.Context, plan *Plan, request *kubedb.SinglestoreOpsRequest) error {
	if err := request.Invalid(); err != nil {
		return refuse("spec", ReasonInvalidRequest, "it cannot be read: %s", err)
	}
	if err := checkRequest(request); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lists := p.readAhead(ctx, request.Namespace)
	db, err := p.database(ctx, request)
	if err != nil {
		return err
	}
	plan.Database = db
	components, err := checkSizes(db, request)
	if err != nil {
		return err
	}
	s := &survey{
		Planner: p, lists: lists, classes: p.classesAhead(ctx, db, components),
		request: request, database: db, namespace: request.Namespace, components: components, now: time.Now(),
	}
	for _, stage := range [][]check{
		{readVolumes, checkRights},
		{checkClasses},
		{checkVolumes},
		{checkMaxSize, checkQuotas, checkLimitRanges, checkDisruption, checkUsers, checkCoolDown},
		{checkCapacity},
	} {
		findings, err := s.run(ctx, stage)
		if err != nil {
			return err
		}
		plan.add(findings...)
	}
	plan.add(notReady(db, request)...)
	plan.add(paused(db, request)...)
	plan.Components, plan.Restarts = s.components, restarts(plan.Mode, s.components)
	return nil
}

// run looks at several things side by side, and tells of them in their order.
func (s *survey) run(ctx context.Context, checks []check) ([]Finding, error) {
	results := make([][]Finding, len(checks))
	group, ctx := errgroup.WithContext(ctx)
	for i, look := range checks {
		group.Go(func() (err error) {
			results[i], err = look(ctx, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var findings []Finding
	for _, result := range results {
		findings = append(findings, result...)
	}
	return findings, nil
}

func (p *Planner) database(ctx context.Context, request *kubedb.SinglestoreOpsRequest) (*kubedb.Singlestore, error) {
	name := request.Spec.DatabaseRef.Name
	if name == "" {
		return nil, refuse("spec.databaseRef", ReasonDatabaseNotFound, "%s/%s, is invalid or not found", request.Namespace, name)
	}
	db, err := p.Client.Singlestores(request.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, refuse("spec.databaseRef", ReasonDatabaseNotFound, "%s/%s, is invalid or not found", request.Namespace, name)
	case err != nil:
		return nil, fmt.Errorf("read Singlestore %s/%s: %w", request.Namespace, name, err)
	}
	if db.DeletionTimestamp != nil {
		return nil, refuse("spec.databaseRef", ReasonDatabaseTerminating, "Singlestore %s/%s is being deleted", db.Namespace, db.Name)
	}
	if err := db.Invalid(); err != nil {
		return nil, refuse("spec.databaseRef", ReasonNoStorage, "the spec of Singlestore %s/%s cannot be read: %s", db.Namespace, db.Name, err)
	}
	return db, nil
}
