// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/cluster/clustertest"
	"github.com/opsrelay/opsrelay/services/petset"
	"github.com/opsrelay/opsrelay/services/provisioner"
)

// development is the cluster of all tests; nil where none is built.
var development *cluster.Cluster

func TestMain(m *testing.M) { os.Exit(clustertest.Run(m, cluster.Definitions(), &development)) }

// bundle is a namespace of a test's own, with both controllers at work in it.
type bundle struct{ clustertest.Bundle }

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{clustertest.Setup(t, development)}
	pets, err := petset.New(petset.Config{Client: b.KubeDB, Kubernetes: b.Core, Namespace: b.Namespace})
	require.NoError(t, err)
	databases, err := provisioner.New(provisioner.Config{Client: b.KubeDB, Kubernetes: b.Core, Namespace: b.Namespace})
	require.NoError(t, err)
	clustertest.Start(t, pets.Run)
	clustertest.Start(t, databases.Run)
	clustertest.Eventually(t, func() bool { return pets.HasSynced() && databases.HasSynced() })
	return b
}
