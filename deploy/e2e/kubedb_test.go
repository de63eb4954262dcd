// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// A Secret that the user names is taken as it is, and a pod that lost its owner
// gets it back: what stands in for KubeDB has the rights that this takes.
func TestASecretOfTheUsersAndAPodWithoutAnOwner(t *testing.T) {
	b := setup(t)
	secrets, pods := b.core.CoreV1().Secrets(b.namespace), b.core.CoreV1().Pods(b.namespace)
	_, err := secrets.Create(b.ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "mine"}, Type: corev1.SecretTypeBasicAuth,
		StringData: map[string]string{corev1.BasicAuthUsernameKey: kubedb.RootUser, corev1.BasicAuthPasswordKey: "chosen"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	db := fixture.Standalone("sdb", fixture.ClassOnline)
	db.Spec.AuthSecret = &kubedb.SecretReference{Name: "mine"}
	b.createDatabase(db)
	mine, err := secrets.Get(b.ctx, "mine", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "chosen", string(mine.Data[corev1.BasicAuthPasswordKey]))

	orphan, err := pods.Patch(b.ctx, "sdb-0", types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Empty(t, orphan.OwnerReferences)
	b.pod("sdb-0", "its owner again", func(pod *corev1.Pod) bool {
		return pod.UID == orphan.UID && metav1.GetControllerOf(pod) != nil
	})
}
