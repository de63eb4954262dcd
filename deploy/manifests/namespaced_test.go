// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// named is the namespace of components/namespaced.
const named = "databases"

// namespacedRights are the roles of a namespaced installation, and who has them.
func namespacedRights(t *testing.T) manifests {
	t.Helper()
	var rights manifests
	for _, object := range with(t, relay, "namespaced") {
		if object.GroupVersionKind().Group == rbacv1.GroupName {
			rights = append(rights, object)
		}
	}
	return rights
}

// A Role has every rule of the ClusterRole that it replaces. All that is left for the
// whole cluster is reading what is in no namespace, or in the storage driver's.
func TestANamespacedInstallationHasRolesInItsNamespace(t *testing.T) {
	t.Parallel()
	objects, everywhere := with(t, relay, "namespaced"), render(t, relay)
	require.Equal(t, named, objects.find(t, "ConfigMap", "opsrelay").Object["data"].(map[string]any)["OPSRELAY_NAMESPACE"])
	for _, service := range stack.Relay {
		role := as[rbacv1.Role](t, objects.find(t, "Role", "opsrelay-"+service))
		require.Equal(t, named, role.Namespace)
		require.Equal(t, as[rbacv1.ClusterRole](t, everywhere.find(t, "ClusterRole", "opsrelay-"+service)).Rules, role.Rules)
		binding := as[rbacv1.RoleBinding](t, objects.find(t, "RoleBinding", "opsrelay-"+service))
		require.Equal(t, named, binding.Namespace)
		require.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}, binding.RoleRef)
		require.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: service, Namespace: "opsrelay"}}, binding.Subjects)
	}
	var left []string
	for _, object := range objects.kind("ClusterRole") {
		left = append(left, object.GetName())
		for _, rule := range as[rbacv1.ClusterRole](t, object).Rules {
			for _, resource := range rule.Resources {
				require.Contains(t, []string{"namespaces", "persistentvolumes", "storageclasses", "csistoragecapacities", "volumeattachments"}, resource)
			}
			for _, verb := range rule.Verbs {
				require.Contains(t, []string{"get", "list", "watch"}, verb)
			}
		}
	}
	require.ElementsMatch(t, []string{"opsrelay-cluster-uid", "opsrelay-watcher-cluster", "opsrelay-expander-cluster", "opsrelay-provision"}, left)
	require.Len(t, objects.kind("ClusterRoleBinding"), len(left))
}

// The relay does its work in the named namespace. Another is left alone, and would be
// refused.
func TestANamespacedInstallationWorksInItsNamespaceOnly(t *testing.T) {
	t.Parallel()
	needCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	s, err := stack.Start(ctx, stack.Options{Directory: t.TempDir(), Binary: binary, Namespace: named, Processes: []string{}})
	require.NoError(t, err)
	services := slices.Concat(stack.KubeDB, stack.Relay)
	t.Cleanup(func() {
		for _, service := range slices.Backward(services) {
			require.NoError(t, s.StopService(service))
		}
		require.NoError(t, s.Stop())
	})
	_, err = s.Clients.Core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: named}}, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, service := range stack.Relay {
		require.NoError(t, s.Clients.Core.RbacV1().ClusterRoleBindings().Delete(ctx, "opsrelay-"+service, metav1.DeleteOptions{}))
		require.NoError(t, s.Clients.Core.RbacV1().ClusterRoles().Delete(ctx, "opsrelay-"+service, metav1.DeleteOptions{}))
	}
	a := newApplierTo(t, s.Cluster.Config())
	for _, object := range namespacedRights(t) {
		require.NoError(t, a.apply(ctx, object), "%s %s", object.GetKind(), object.GetName())
	}
	for _, service := range services {
		require.NoError(t, s.StartService(service))
	}

	client := s.Clients.KubeDB
	elsewhere, err := client.SinglestoreOpsRequests("default").Create(ctx, fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}), metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.Singlestores(named).Create(ctx, fixture.Topology("sdb", fixture.ClassOnline), metav1.CreateOptions{})
	require.NoError(t, err)
	fixture.Eventually(ctx, t, client.Singlestores(named), "sdb", "phase Ready", &kubedb.Singlestore{},
		func(db *kubedb.Singlestore) bool { return db.Status.Phase == kubedb.DatabaseReady })
	offline := func(spec *kubedb.SinglestoreOpsRequestSpec) { spec.VolumeExpansion.Mode = kubedb.ModeOffline }
	for name, request := range map[string]*kubedb.SinglestoreOpsRequest{
		"online": fixture.Expansion("online", "sdb", fixture.Sizes{Leaf: "11Gi"}), "offline": fixture.Expansion("offline", "sdb", fixture.Sizes{Aggregator: "12Gi"}, offline),
	} {
		_, err = client.SinglestoreOpsRequests(named).Create(ctx, request, metav1.CreateOptions{})
		require.NoError(t, err)
		ended := fixture.Eventually(ctx, t, client.SinglestoreOpsRequests(named), name, "ended", &kubedb.SinglestoreOpsRequest{},
			func(request *kubedb.SinglestoreOpsRequest) bool { return request.Status.Phase.Terminal() })
		require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
	}
	left, err := client.SinglestoreOpsRequests("default").Get(ctx, "grow", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, elsewhere.ResourceVersion, left.ResourceVersion)

	for service, resources := range map[string][]schema.GroupVersionResource{
		"watcher": {requests, databases, claims, petSets}, "pauser": {databases}, "expander": {claims, pods, databases, petSets}, "updater": {petSets, databases, statefulSets},
	} {
		config := s.Cluster.Config()
		config.Impersonate.UserName = account(service)
		client, err := dynamic.NewForConfig(config)
		require.NoError(t, err)
		for _, resource := range resources {
			_, err := client.Resource(resource).Namespace("default").Get(ctx, "x", metav1.GetOptions{})
			require.True(t, apierrors.IsForbidden(err), "%s %s: %v", service, resource.Resource, err)
			_, err = client.Resource(resource).Namespace("default").Patch(ctx, "x", "application/merge-patch+json", []byte(`{}`), metav1.PatchOptions{})
			require.True(t, apierrors.IsForbidden(err), "%s %s: %v", service, resource.Resource, err)
		}
	}
}
