// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster/clustertest"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

const cluster3 = `{"metadata":{"name":"sdb"},"spec":{"version":"8.7.10","licenseSecret":{"name":"license"},"storageType":"Durable",
  "topology":{
    "aggregator":{"replicas":1,"storage":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}},
    "leaf":{"replicas":2,"storage":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"10Gi"}}}}}}}`

const standalone = `{"metadata":{"name":"one"},"spec":{"version":"8.7.10","licenseSecret":{"name":"license"},
  "storage":{"resources":{"requests":{"storage":"1Gi"}}}}}`

func (b *bundle) create(t *testing.T, text string) *kubedb.Singlestore {
	t.Helper()
	db := &kubedb.Singlestore{}
	require.NoError(t, json.Unmarshal([]byte(text), db))
	created, err := b.KubeDB.Singlestores(b.Namespace).Create(t.Context(), db, metav1.CreateOptions{})
	require.NoError(t, err)
	return created
}

func (b *bundle) database(t *testing.T, name string) *kubedb.Singlestore {
	t.Helper()
	db, err := b.KubeDB.Singlestores(b.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return db
}

func (b *bundle) petSet(t *testing.T, name string) *kubedb.PetSet {
	t.Helper()
	set, err := b.KubeDB.PetSets(b.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return set
}

func (b *bundle) waitPhase(t *testing.T, name string, phase kubedb.DatabasePhase) *kubedb.Singlestore {
	t.Helper()
	clustertest.Eventually(t, func() bool { return b.database(t, name).Status.Phase == phase })
	return b.database(t, name)
}

func (b *bundle) patchSpec(t *testing.T, name, patch string) {
	t.Helper()
	_, err := b.KubeDB.Singlestores(b.Namespace).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
}

// pause adds the Paused condition as KubeDB's CLI does, by compare-and-swap.
func (b *bundle) setPaused(t *testing.T, name string, paused bool) {
	t.Helper()
	clustertest.Eventually(t, func() bool {
		db := b.database(t, name)
		if paused {
			db.Status.Conditions = kubedb.SetCondition(db.Status.Conditions, kubedb.Condition{
				Type: kubedb.ConditionPaused, Status: metav1.ConditionTrue, Reason: kubedb.ReasonPaused,
				Message: "Paused by KubeDB CLI tool", ObservedGeneration: db.Generation,
			})
		} else {
			db.Status.Conditions = kubedb.RemoveCondition(db.Status.Conditions, kubedb.ConditionPaused)
		}
		_, err := b.KubeDB.Singlestores(b.Namespace).UpdateStatus(t.Context(), db, metav1.UpdateOptions{})
		return err == nil
	})
}

func TestClusterBecomesReady(t *testing.T) {
	t.Parallel()
	b := setup(t)
	began := time.Now()
	b.create(t, cluster3)
	db := b.waitPhase(t, "sdb", kubedb.DatabaseReady)
	t.Logf("ready after %s", time.Since(began).Round(10*time.Millisecond))

	require.Equal(t, db.Generation, db.Status.ObservedGeneration)
	messages := map[string]string{}
	for _, condition := range db.Status.Conditions {
		require.Equal(t, metav1.ConditionTrue, condition.Status, condition.Type)
		messages[condition.Type+"/"+condition.Reason] = condition.Message
	}
	require.Equal(t, map[string]string{
		"ProvisioningStarted/DatabaseProvisioningStartedSuccessfully": "The KubeDB operator has started the provisioning of Singlestore: " + b.Namespace + "/sdb",
		"ReplicaReady/AllReplicasReady":                               "All desired replicas are ready.",
		"AcceptingConnection/AcceptingConnection":                     "database " + b.Namespace + "/sdb is accepting connection",
		"Ready/AllReplicasReady":                                      "database " + b.Namespace + "/sdb is ready",
		"Provisioned/DatabaseSuccessfullyProvisioned":                 "The Singlestore: " + b.Namespace + "/sdb is successfully provisioned.",
	}, messages)
	b.checkObjects(t, db)
}

func (b *bundle) checkObjects(t *testing.T, db *kubedb.Singlestore) {
	t.Helper()
	core := b.Core.CoreV1()
	secret, err := core.Secrets(b.Namespace).Get(t.Context(), "sdb-auth", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, corev1.SecretTypeBasicAuth, secret.Type)
	require.Equal(t, "root", string(secret.Data["username"]))
	require.GreaterOrEqual(t, len(secret.Data["password"]), 16)
	require.Empty(t, secret.OwnerReferences)

	for name, headless := range map[string]bool{"sdb": false, "sdb-pods": true} {
		service, err := core.Services(b.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, headless, service.Spec.ClusterIP == corev1.ClusterIPNone, name)
		require.True(t, metav1.IsControlledBy(service, db))
	}
	_, err = core.ServiceAccounts(b.Namespace).Get(t.Context(), "sdb", metav1.GetOptions{})
	require.NoError(t, err)

	for name, size := range map[string]string{"data-sdb-aggregator-0": "1Gi", "data-sdb-leaf-0": "10Gi", "data-sdb-leaf-1": "10Gi"} {
		claim, err := core.PersistentVolumeClaims(b.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, size, claim.Status.Capacity.Storage().String(), name)
		require.Equal(t, "sdb", claim.Labels["app.kubernetes.io/instance"])
	}
	leaves := b.petSet(t, "sdb-leaf")
	require.True(t, metav1.IsControlledBy(leaves, db))
	require.EqualValues(t, 1, leaves.Generation, "what is as desired is not patched")
	require.Equal(t, appsv1.OnDeleteStatefulSetStrategyType, leaves.Spec.UpdateStrategy.Type)
	pod, err := core.Pods(b.Namespace).Get(t.Context(), "sdb-leaf-1", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "leaf", pod.Labels["kubedb.com/petset"])
	require.Equal(t, "/var/lib/memsql", pod.Spec.Containers[0].VolumeMounts[0].MountPath)
	require.Len(t, pod.Spec.Containers, 2)
}

func TestStandaloneBecomesReady(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, standalone)
	b.waitPhase(t, "one", kubedb.DatabaseReady)
	pod, err := b.Core.CoreV1().Pods(b.Namespace).Get(t.Context(), "one-0", metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, pod.Spec.Containers, 1)
	require.Equal(t, "standalone", pod.Labels["kubedb.com/petset"])
}

func TestPausedDatabaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, cluster3)
	ready := b.waitPhase(t, "sdb", kubedb.DatabaseReady)
	b.setPaused(t, "sdb", true)
	leaves := b.petSet(t, "sdb-leaf")
	b.patchSpec(t, "sdb", `{"spec":{"topology":{"leaf":{"replicas":3,"storage":{"resources":{"requests":{"storage":"20Gi"}}}}}}}`)

	// Its phase is still kept: a lost pod makes it Critical and back, and by then the change of the spec was seen too.
	allow := b.refusePods(t)
	require.NoError(t, b.Core.CoreV1().Pods(b.Namespace).Delete(t.Context(), "sdb-leaf-0", metav1.DeleteOptions{}))
	b.waitPhase(t, "sdb", kubedb.DatabaseCritical)
	allow()
	b.waitPhase(t, "sdb", kubedb.DatabaseReady)
	require.Equal(t, leaves.Generation, b.petSet(t, "sdb-leaf").Generation)
	paused := b.database(t, "sdb")
	require.True(t, kubedb.IsPaused(paused))
	require.Equal(t, ready.Status.ObservedGeneration, paused.Status.ObservedGeneration)

	b.setPaused(t, "sdb", false)
	clustertest.Eventually(t, func() bool { db := b.database(t, "sdb"); return db.Status.ObservedGeneration == db.Generation })
	b.waitPhase(t, "sdb", kubedb.DatabaseReady)
	require.False(t, kubedb.IsPaused(b.database(t, "sdb")))
	after := b.petSet(t, "sdb-leaf")
	require.EqualValues(t, 3, *after.Spec.Replicas)
	require.Equal(t, "20Gi", after.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
}

// refusePods has the API server take no new pod in the namespace, until allow is
// called.
func (b *bundle) refusePods(t *testing.T) (allow func()) {
	t.Helper()
	quotas := b.Core.CoreV1().ResourceQuotas(b.Namespace)
	_, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "no-pods"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	clustertest.Eventually(t, func() bool { // before that it is not enforced
		quota, err := quotas.Get(t.Context(), "no-pods", metav1.GetOptions{})
		return err == nil && len(quota.Status.Used) == 1
	})
	return func() { require.NoError(t, quotas.Delete(t.Context(), "no-pods", metav1.DeleteOptions{})) }
}

// TestPauseIsNeitherLostNorRestored pauses and resumes while the provisioner writes the same status.
func TestPauseIsNeitherLostNorRestored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, standalone)
	for i := range 20 {
		b.setPaused(t, "one", true)
		b.patchSpec(t, "one", `{"spec":{"version":"`+string(rune('a'+i))+`"}}`)
		require.True(t, kubedb.IsPaused(b.database(t, "one")))
		b.setPaused(t, "one", false)
		require.False(t, kubedb.IsPaused(b.database(t, "one")))
		clustertest.Eventually(t, func() bool { db := b.database(t, "one"); return db.Status.ObservedGeneration == db.Generation })
		require.False(t, kubedb.IsPaused(b.database(t, "one")))
	}
	b.waitPhase(t, "one", kubedb.DatabaseReady)
}

func TestGrownTemplateIsNotLowered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, cluster3)
	b.waitPhase(t, "sdb", kubedb.DatabaseReady)
	password := b.password(t)
	leaves := b.petSet(t, "sdb-leaf")
	leaves.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("30Gi")
	_, err := b.KubeDB.PetSets(b.Namespace).Update(t.Context(), leaves, metav1.UpdateOptions{})
	require.NoError(t, err)

	b.patchSpec(t, "sdb", `{"spec":{"topology":{"leaf":{"replicas":3}}}}`)
	clustertest.Eventually(t, func() bool { return b.petSet(t, "sdb-leaf").Status.ReadyReplicas == 3 })
	require.Equal(t, "30Gi", b.petSet(t, "sdb-leaf").Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	b.waitPhase(t, "sdb", kubedb.DatabaseReady)
	require.Equal(t, password, b.password(t))
}

func (b *bundle) password(t *testing.T) string {
	t.Helper()
	secret, err := b.Core.CoreV1().Secrets(b.Namespace).Get(t.Context(), "sdb-auth", metav1.GetOptions{})
	require.NoError(t, err)
	return string(secret.Data["password"])
}
