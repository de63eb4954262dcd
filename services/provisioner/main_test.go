// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/cluster/clustertest"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/petset"
	"github.com/opsrelay/opsrelay/services/provisioner"
)

// development is the cluster of all tests; nil where none is built.
var development *cluster.Cluster

func TestMain(m *testing.M) { os.Exit(clustertest.Run(m, cluster.Definitions(), &development)) }

// bundle is what a test works with: clients and a namespace of its own, with both controllers at work in it.
type bundle struct {
	client     *kubedb.Client
	kubernetes kubernetes.Interface
	namespace  string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	require.NotNil(t, development, cluster.ErrNotBuilt.Error())
	b := &bundle{}
	var err error
	b.client, err = kubedb.NewClient(development.Config())
	require.NoError(t, err)
	b.kubernetes, err = kubernetes.NewForConfig(development.Config())
	require.NoError(t, err)
	namespace, err := b.kubernetes.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "provisioner-"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.namespace = namespace.Name

	pets, err := petset.New(petset.Config{Client: b.client, Kubernetes: b.kubernetes, Namespace: b.namespace})
	require.NoError(t, err)
	databases, err := provisioner.New(provisioner.Config{Client: b.client, Kubernetes: b.kubernetes, Namespace: b.namespace})
	require.NoError(t, err)
	run(t, pets.Run)
	run(t, databases.Run)
	eventually(t, func() bool { return pets.HasSynced() && databases.HasSynced() })
	return b
}

// run runs a controller until the end of the test.
func run(t *testing.T, controller func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- controller(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// eventually waits for longer than the garbage collector takes to notice a new custom resource definition, which is 30 s.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 90*time.Second, 20*time.Millisecond)
}
