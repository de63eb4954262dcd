// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// succeeded waits until the requests have ended, and requires that each is
// Successful and that its database is not paused.
func (b *bundle) succeeded(names ...string) {
	b.Helper()
	for _, name := range names {
		request := fixture.Eventually(b.ctx, b, b.clients.KubeDB.SinglestoreOpsRequests(b.namespace), name, "a terminal phase", &kubedb.SinglestoreOpsRequest{},
			func(request *kubedb.SinglestoreOpsRequest) bool { return request.Status.Phase.Terminal() })
		require.Equal(b, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
		db, err := b.clients.KubeDB.Singlestores(b.namespace).Get(b.ctx, request.Spec.DatabaseRef.Name, metav1.GetOptions{})
		require.NoError(b, err)
		require.False(b, kubedb.IsPaused(db), "request %s is %s, but its database is paused", name, request.Status.Phase)
	}
}

// asked waits until the claim's request has the size: somebody works on it.
func (b *bundle) asked(claim, size string) {
	b.Helper()
	fixture.Eventually(b.ctx, b, b.clients.Core.CoreV1().PersistentVolumeClaims(b.namespace), claim, "a request of "+size, &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			return claim.Spec.Resources.Requests.Storage().String() == size
		})
}

// grown waits until the claim has the capacity.
func (b *bundle) grown(claim, size string) {
	b.Helper()
	fixture.Eventually(b.ctx, b, b.clients.Core.CoreV1().PersistentVolumeClaims(b.namespace), claim, "a capacity of "+size, &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			return claim.Status.Capacity.Storage().String() == size
		})
}

// createRequest creates the request.
func (b *bundle) createRequest(request *kubedb.SinglestoreOpsRequest) {
	b.Helper()
	_, err := b.clients.KubeDB.SinglestoreOpsRequests(b.namespace).Create(b.ctx, request, metav1.CreateOptions{})
	require.NoError(b, err)
}

// createDatabases creates the databases and waits until all are Ready.
func (b *bundle) createDatabases(names ...string) {
	b.Helper()
	for _, name := range names {
		_, err := b.clients.KubeDB.Singlestores(b.namespace).Create(b.ctx, topology(name), metav1.CreateOptions{})
		require.NoError(b, err)
	}
	for _, name := range names {
		fixture.Eventually(b.ctx, b, b.clients.KubeDB.Singlestores(b.namespace), name, "phase Ready", &kubedb.Singlestore{},
			func(db *kubedb.Singlestore) bool { return db.Status.Phase == kubedb.DatabaseReady })
	}
}
