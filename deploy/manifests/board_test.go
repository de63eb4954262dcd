// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/notrun"
)

const board = "board"

// The board sees requests, and writes nothing.
func TestTheBoardReadsOnly(t *testing.T) {
	t.Parallel()
	objects := with(t, relay, board)
	role := as[rbacv1.ClusterRole](t, objects.find(t, "ClusterRole", "opsrelay-board"))
	require.Equal(t, []rbacv1.PolicyRule{{
		APIGroups: []string{"ops.kubedb.com"}, Resources: []string{"singlestoreopsrequests"}, Verbs: []string{"list", "watch"},
	}}, role.Rules)
	binding := as[rbacv1.ClusterRoleBinding](t, objects.find(t, "ClusterRoleBinding", role.Name))
	require.Equal(t, role.Name, binding.RoleRef.Name)
	require.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: board, Namespace: "opsrelay"}}, binding.Subjects)

	spec := objects.workload(t, board).template.Spec
	require.Equal(t, board, spec.ServiceAccountName)
	for _, volume := range spec.Volumes {
		require.Contains(t, []string{"nats-board", "board"}, volume.Secret.SecretName)
	}
	require.Nil(t, spec.Volumes[1].Secret.Optional, "without a token the page would be open")
}

// It is reached where it listens, through the Service.
func TestTheBoardIsReached(t *testing.T) {
	t.Parallel()
	objects := with(t, relay, board)
	w := objects.workload(t, board)
	service := as[corev1.Service](t, objects.find(t, "Service", board)).Spec
	require.Subset(t, w.template.Labels, service.Selector)
	var port int32
	for _, p := range w.template.Spec.Containers[0].Ports {
		if p.Name == service.Ports[0].TargetPort.String() {
			port = p.ContainerPort
		}
	}
	require.EqualValues(t, 8090, port)
	require.Contains(t, w.template.Spec.Containers[0].Args, "--listen=:8090")
	policy := as[networkingv1.NetworkPolicy](t, objects.find(t, "NetworkPolicy", board)).Spec
	require.True(t, matches(t, &policy.PodSelector, w.template.Labels))
	require.Equal(t, []int{8090}, numbers(t, policy.Ingress[0].Ports))
}

// Its command is understood as it stands: the board gets as far as looking for
// Kubernetes.
func TestTheBoardUnderstandsItsCommand(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	objects := with(t, relay, board)
	c := objects.workload(t, board).template.Spec.Containers[0]
	output, err := command(c, objects.environment(t, c)).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(output), "no connection to Kubernetes")
}

func TestAPIServerTakesTheBoard(t *testing.T) {
	t.Parallel()
	a := newApplier(t)
	for _, object := range with(t, relay, board) {
		require.NoError(t, a.apply(t.Context(), object, metav1.DryRunAll), "%s %s", object.GetKind(), object.GetName())
	}
	require.Empty(t, a.warnings.all())
}
