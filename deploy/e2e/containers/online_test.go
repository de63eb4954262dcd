// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/runtime"
)

func TestOnlineTopology(t *testing.T) {
	b := setup(t, 1)
	b.createDatabases("sdb")
	b.createRequest(expansion("sdb"))

	b.succeeded("sdb")
	b.grown("data-sdb-aggregator-0", "2Gi")
	b.grown("data-sdb-leaf-0", "11Gi")
	b.grown("data-sdb-leaf-1", "11Gi")
	db, err := b.clients.KubeDB.Singlestores(b.namespace).Get(b.ctx, "sdb", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "2Gi", db.Spec.Topology.Aggregator.Storage.Resources.Requests.Storage().String())
	require.Equal(t, "11Gi", db.Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
	require.Equal(t, kubedb.DatabaseReady, db.Status.Phase)
}

// The storage grows a volume only while nobody uses it: each pod is restarted,
// once, which is an invariant.
func TestOfflineTopology(t *testing.T) {
	b := setup(t, 1)
	b.createDatabases("sdb")
	pods := []string{"sdb-aggregator-0", "sdb-leaf-0", "sdb-leaf-1"}
	before := map[string]types.UID{}
	for _, name := range pods {
		require.NoError(t, b.storage.SetFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-"+name), cluster.Fault{OfflineOnly: true}))
		pod, err := b.clients.Core.CoreV1().Pods(b.namespace).Get(b.ctx, name, metav1.GetOptions{})
		require.NoError(t, err)
		before[name] = pod.UID
	}
	request := expansion("sdb")
	request.Spec.VolumeExpansion.Mode = kubedb.ModeOffline
	b.createRequest(request)

	b.succeeded("sdb")
	b.grown("data-sdb-aggregator-0", "2Gi")
	b.grown("data-sdb-leaf-0", "11Gi")
	b.grown("data-sdb-leaf-1", "11Gi")
	for _, name := range pods {
		pod, err := b.clients.Core.CoreV1().Pods(b.namespace).Get(b.ctx, name, metav1.GetOptions{})
		require.NoError(t, err)
		require.NotEqual(t, before[name], pod.UID, "pod %s was not restarted", name)
	}
}

// The services run as they are meant to in production.
func TestServicesAreConfined(t *testing.T) {
	b := setup(t, 1)
	for _, service := range allServices() {
		replica, err := b.services[service][0].Inspect(b.ctx)
		require.NoError(t, err)
		require.Equal(t, nonRoot, replica.Config.User, service)
		require.True(t, replica.HostConfig.ReadonlyRootfs, service)
		require.False(t, replica.HostConfig.Privileged, service)
		require.Equal(t, []string{"ALL"}, replica.HostConfig.CapDrop, service)
		require.Equal(t, []string{"no-new-privileges"}, replica.HostConfig.SecurityOpt, service)
	}
}

// A service can do its own step in Kubernetes, and no other's.
func TestServicesHaveTheirOwnIdentity(t *testing.T) {
	b := setup(t, 1)
	b.createDatabases("sdb")
	kubeconfig, err := b.kubeconfig(b.ctx, "pauser")
	require.NoError(t, err)
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	require.NoError(t, err)
	config.Host, config.ServerName = b.config.Host, b.config.ServerName
	pauser, err := runtime.NewClients(config)
	require.NoError(t, err)

	_, err = pauser.KubeDB.Singlestores(b.namespace).Get(b.ctx, "sdb", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = pauser.Core.CoreV1().PersistentVolumeClaims(b.namespace).Get(b.ctx, lastLeaf("sdb"), metav1.GetOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	_, err = pauser.Core.CoreV1().Secrets(namespace).Create(b.ctx, &corev1.Secret{}, metav1.CreateOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
}
