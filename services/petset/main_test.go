// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package petset_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/cluster/clustertest"
	"github.com/opsrelay/opsrelay/services/petset"
)

// development is the cluster of all tests; nil where none is built.
var development *cluster.Cluster

func TestMain(m *testing.M) { os.Exit(clustertest.Run(m, cluster.Definitions(), &development)) }

// bundle is a namespace of a test's own, with a controller at work in it.
type bundle struct {
	clustertest.Bundle

	// stop ends the controller.
	stop func()
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: clustertest.Setup(t, development)}
	b.start(t)
	return b
}

// start starts a controller.
func (b *bundle) start(t *testing.T) {
	t.Helper()
	controller, err := petset.New(petset.Config{Client: b.KubeDB, Kubernetes: b.Core, Namespace: b.Namespace})
	require.NoError(t, err)
	b.stop = clustertest.Start(t, controller.Run)
	clustertest.Eventually(t, controller.HasSynced)
}
