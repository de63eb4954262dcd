// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/expander"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// offline makes it an Offline request.
func offline(spec *kubedb.SinglestoreOpsRequestSpec) { spec.VolumeExpansion.Mode = kubedb.ModeOffline }

// guide are the pods of KubeDB's guide, in the order in which they are restarted.
var guide = []string{"sdb-aggregator-0", "sdb-leaf-1", "sdb-leaf-0"}

// offlineOnly makes the storage driver refuse to expand the volumes of the
// guide's database while they are in use.
func (b *bundle) offlineOnly() {
	b.Helper()
	for _, pod := range guide {
		b.fault("data-"+pod, cluster.Fault{OfflineOnly: true})
	}
}

// pods returns the uids of the pods as they are now.
func (b *bundle) pods() map[string]types.UID {
	b.Helper()
	list, err := b.core.CoreV1().Pods(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(b, err)
	uids := map[string]types.UID{}
	for _, pod := range list.Items {
		uids[pod.Name] = pod.UID
		require.NotContains(b, pod.Finalizers, expander.Hold, pod.Name)
		require.NotContains(b, pod.Labels, expander.Hold, pod.Name)
	}
	return uids
}

// restarted requires that each of the pods is another one than before, and every
// other pod the same. That each was restarted once is an invariant.
func (b *bundle) restarted(before map[string]types.UID, names ...string) {
	b.Helper()
	after := b.pods()
	require.Len(b, after, len(before))
	for name, uid := range before {
		if slices.Contains(names, name) {
			require.NotEqual(b, uid, after[name], "pod %s was not restarted", name)
		} else {
			require.Equal(b, uid, after[name], "pod %s was restarted", name)
		}
	}
}

// KubeDB's guide: every volume grows while its pod is down, with a driver that
// refuses anything else.
func TestOfflineTopology(t *testing.T) {
	b := setup(t)
	b.createDatabase(topology("sdb", classOnline))
	b.offlineOnly()
	before, sets := b.pods(), b.workloads()
	b.create(expansion("grow", "sdb", sizes{aggregator: "2Gi", leaf: "11Gi"}, offline))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, failureOf(request))
	require.Equal(t, []line{
		{"VolumeExpansion", "VolumeExpansion", "Singlestore ops-request has started to expand volume of singlestore nodes."},
		{"DatabasePauseSucceeded", "DatabasePauseSucceeded", "Successfully paused database"},
		{"UpdateAggregatorNodePVCs", "UpdateAggregatorNodePVCs", "successfully updated Aggregator node PVC sizes"},
		{"UpdateLeafNodePVCs", "UpdateLeafNodePVCs", "successfully updated Leaf node PVC sizes"},
		{"UpdatePetSets", "UpdatePetSets", "successfully reconciled the Singlestore resources"},
		{"ReadyPetSets", "ReadyPetSets", "PetSet is recreated"},
		{"Successful", "Successful", "Successfully completed volumeExpansion for Singlestore"},
	}, lines(request), "KubeDB's conditions, in order, with its messages")
	require.Equal(t, "2Gi", b.capacity("data-sdb-aggregator-0"))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
	b.restarted(before, guide...)
	require.Equal(t, sets, b.workloads(), "the workloads and their revisions")
	require.Equal(t, guide, b.evictions())
	b.resumed("sdb")
	b.ready("sdb")
}

// workloads lists the PetSets with what identifies them and their pods' template.
func (b *bundle) workloads() map[string][]string {
	b.Helper()
	list, err := b.client.PetSets(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(b, err)
	sets := map[string][]string{}
	for _, set := range list.Items {
		sets[set.Name] = []string{string(set.UID), set.Status.CurrentRevision, set.Status.UpdateRevision}
	}
	return sets
}

// evictions lists the pods that the expander evicted, in that order, each once.
func (b *bundle) evictions() []string {
	b.Helper()
	var names []string
	for _, write := range b.audit("expander") {
		if write.Resource == "pods/eviction" && !slices.Contains(names, write.Name) {
			names = append(names, write.Name)
		}
	}
	return names
}

// The driver wants the node's part as well: it comes with the new pod, and
// nothing waits for it before.
func TestOfflineNodeExpansion(t *testing.T) {
	b := setup(t)
	b.createDatabase(topology("sdb", classNode))
	b.offlineOnly()
	before := b.pods()
	b.create(expansion("grow", "sdb", sizes{aggregator: "2Gi", leaf: "11Gi"}, offline))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, failureOf(request))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	b.restarted(before, guide...)
}

// pod waits until it holds of the pod.
func (b *bundle) pod(name, what string, holds func(*corev1.Pod) bool) *corev1.Pod {
	b.Helper()
	return eventually(b, b.core.CoreV1().Pods(b.namespace), name, what, &corev1.Pod{}, holds)
}
