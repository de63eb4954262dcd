// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

const patience = fixture.Patience

// bundle is what a test works with.
type bundle struct {
	*testing.T
	ctx       context.Context
	stack     *stack.Stack
	client    *kubedb.Client
	core      kubernetes.Interface
	namespace string
	checker   *invariant.Checker
}

// setup returns a bundle with a namespace of its own on the shared stack. The
// invariants are checked when the test ends.
func setup(t *testing.T) *bundle {
	t.Helper()
	notrun.SkipShort(t)
	t.Parallel()
	return setupOn(t, shared)
}

// setupOwn returns a bundle on a stack of the test's own.
func setupOwn(t *testing.T, options stack.Options) *bundle {
	t.Helper()
	notrun.SkipShort(t)
	t.Parallel()
	options.Directory, options.Binary, options.AuditReads = t.TempDir(), binary, true
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	own, err := stack.Start(ctx, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(own.Stop(), asked.add(t.Name(), own))) })
	return setupOn(t, own)
}

func setupOn(t *testing.T, s *stack.Stack) *bundle {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	b := &bundle{T: t, ctx: ctx, stack: s, client: s.Clients.KubeDB, core: s.Clients.Core}
	namespace, err := b.core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.namespace = namespace.Name
	b.checker, err = invariant.Watch(ctx, invariant.Options{
		Client: b.client, Core: b.core, Namespace: b.namespace, AuditLog: s.Cluster.AuditLog,
	})
	require.NoError(t, err)
	t.Cleanup(b.finish)
	return b
}

// finish checks the invariants, and after a failure prints what a person needs.
func (b *bundle) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fixture.CheckInvariants(ctx, b, b.checker)
	if b.Failed() {
		b.explain(ctx)
	}
}

// explain prints the requests' states and what the services logged about them.
func (b *bundle) explain(ctx context.Context) {
	fixture.ExplainRequests(ctx, b, b.client, b.namespace)
	for _, service := range append(append([]string{}, stack.Relay...), stack.KubeDB...) {
		data, err := os.ReadFile(b.stack.LogFile(service))
		if err != nil {
			b.Logf("log of %s: %v", service, err)
			continue
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			if strings.Contains(line, b.namespace) || strings.Contains(line, `"level":"error"`) || strings.Contains(line, "DATA RACE") {
				b.Logf("%s: %s", service, line)
			}
		}
	}
}

// ended waits until the request has a terminal phase.
func (b *bundle) ended(name string) *kubedb.SinglestoreOpsRequest {
	b.Helper()
	return fixture.Eventually(b.ctx, b, b.client.SinglestoreOpsRequests(b.namespace), name, "a terminal phase", &kubedb.SinglestoreOpsRequest{},
		func(request *kubedb.SinglestoreOpsRequest) bool { return request.Status.Phase.Terminal() })
}

// condition waits until the request has a True condition of the type.
func (b *bundle) condition(name, conditionType string) *kubedb.SinglestoreOpsRequest {
	b.Helper()
	return fixture.Eventually(b.ctx, b, b.client.SinglestoreOpsRequests(b.namespace), name, "condition "+conditionType, &kubedb.SinglestoreOpsRequest{},
		func(request *kubedb.SinglestoreOpsRequest) bool {
			return kubedb.IsConditionTrue(request.Status.Conditions, conditionType)
		})
}

// ready waits until the database is Ready.
func (b *bundle) ready(name string) *kubedb.Singlestore {
	b.Helper()
	return fixture.Eventually(b.ctx, b, b.client.Singlestores(b.namespace), name, "phase Ready", &kubedb.Singlestore{},
		func(db *kubedb.Singlestore) bool { return db.Status.Phase == kubedb.DatabaseReady })
}

// resumed waits until nobody holds the database paused.
func (b *bundle) resumed(name string) *kubedb.Singlestore {
	b.Helper()
	return fixture.Eventually(b.ctx, b, b.client.Singlestores(b.namespace), name, "resumed", &kubedb.Singlestore{},
		func(db *kubedb.Singlestore) bool { return !kubedb.IsPaused(db) })
}

// claim returns the claim as it is now.
func (b *bundle) claim(name string) *corev1.PersistentVolumeClaim {
	b.Helper()
	claim, err := b.core.CoreV1().PersistentVolumeClaims(b.namespace).Get(b.ctx, name, metav1.GetOptions{})
	require.NoError(b, err)
	return claim
}

// capacity returns the claim's capacity.
func (b *bundle) capacity(name string) string {
	b.Helper()
	return b.claim(name).Status.Capacity.Storage().String()
}

// create creates the request and returns it.
func (b *bundle) create(request *kubedb.SinglestoreOpsRequest) *kubedb.SinglestoreOpsRequest {
	b.Helper()
	created, err := b.client.SinglestoreOpsRequests(b.namespace).Create(b.ctx, request, metav1.CreateOptions{})
	require.NoError(b, err)
	return created
}

// createDatabase creates the database and waits until it is Ready.
func (b *bundle) createDatabase(db *kubedb.Singlestore) *kubedb.Singlestore {
	b.Helper()
	_, err := b.client.Singlestores(b.namespace).Create(b.ctx, db, metav1.CreateOptions{})
	require.NoError(b, err)
	return b.ready(db.Name)
}

// gone waits until there is no such request.
func (b *bundle) gone(name string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b, b.client.WaitSinglestoreOpsRequest(ctx, b.namespace, name, func(request *kubedb.SinglestoreOpsRequest) bool {
		return request == nil
	}), "request %s is not gone", name)
}

// isRefused reports whether the API server itself refused an object.
func isRefused(err error) bool { return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) }
