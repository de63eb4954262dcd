// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

const patience = fixture.Patience

// bundle is what a test works with.
type bundle struct {
	*testing.T
	*installation
	ctx       context.Context
	namespace string
	checker   *invariant.Checker
	auditLog  string
}

// setup returns a bundle with a namespace of its own, and that many replicas of
// each service of the relay, all ready. The invariants are checked when the test
// ends.
func setup(t *testing.T, replicas int) *bundle {
	t.Helper()
	notrun.SkipShort(t)
	if notRun != nil {
		notrun.Skip(t, fmt.Sprintf("there is no Docker engine (%v)", notRun), howToGet)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	b := &bundle{T: t, installation: shared, ctx: ctx, auditLog: filepath.Join(t.TempDir(), "audit.log")}
	for _, service := range stack.Relay {
		require.NoError(t, b.scale(ctx, service, replicas))
	}
	require.NoError(t, b.ready(ctx))
	created, err := b.clients.Core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "containers-"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.namespace = created.Name
	b.checker, err = invariant.Watch(ctx, invariant.Options{
		Client: b.clients.KubeDB, Core: b.clients.Core, Namespace: b.namespace, AuditLog: b.auditLog,
	})
	require.NoError(t, err)
	t.Cleanup(b.finish)
	return b
}

// finish checks the invariants, and after a failure prints what a person needs.
func (b *bundle) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := copyFile(ctx, b.api, "/data/audit.log", b.auditLog); err != nil {
		b.Errorf("read the audit log: %v", err)
	}
	fixture.CheckInvariants(ctx, b, b.checker)
	if b.Failed() {
		b.explain(ctx)
	}
}

// explain prints the requests' states and what the services logged about them.
func (b *bundle) explain(ctx context.Context) {
	fixture.ExplainRequests(ctx, b, b.clients.KubeDB, b.namespace)
	for _, service := range allServices() {
		for n, replica := range b.services[service] {
			for line := range strings.SplitSeq(b.logOf(ctx, replica), "\n") {
				if strings.Contains(line, b.namespace) || strings.Contains(line, `"level":"error"`) {
					b.Logf("%s-%d: %s", service, n, line)
				}
			}
		}
	}
	b.broker.explain(ctx, b.T)
}
