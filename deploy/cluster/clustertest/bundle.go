// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package clustertest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// Bundle is what the test of a controller works with: clients that may do
// everything, and a namespace of its own.
type Bundle struct {
	runtime.Clients

	Namespace string
}

// Setup returns a bundle on the development cluster, which is nil where none is
// built: then the test fails and says how to build one.
func Setup(t *testing.T, development *cluster.Cluster) Bundle {
	t.Helper()
	notrun.SkipShort(t)
	require.NotNil(t, development, cluster.ErrNotBuilt.Error())
	clients, err := runtime.NewClients(development.Config())
	require.NoError(t, err)
	namespace, err := clients.Core.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return Bundle{Clients: clients, Namespace: namespace.Name}
}

// Start runs a controller until the returned function is called, at the end of
// the test at the latest. It must end without an error.
func Start(t *testing.T, controller func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- controller(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return stop
}

// Eventually waits for longer than the garbage collector takes to notice a new
// custom resource definition, which is 30 s.
func Eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 90*time.Second, 20*time.Millisecond)
}
