// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// line is a condition as it is compared.
type line struct{ kind, reason, message string }

func lines(request *kubedb.SinglestoreOpsRequest) []line {
	var list []line
	for _, c := range request.Status.Conditions {
		list = append(list, line{c.Type, c.Reason, c.Message})
	}
	return list
}

// guideLines are KubeDB's conditions of its guide's request, in order, with its
// messages.
var guideLines = []line{
	{"VolumeExpansion", "VolumeExpansion", "Singlestore ops-request has started to expand volume of singlestore nodes."},
	{"DatabasePauseSucceeded", "DatabasePauseSucceeded", "Successfully paused database"},
	{"UpdateAggregatorNodePVCs", "UpdateAggregatorNodePVCs", "successfully updated Aggregator node PVC sizes"},
	{"UpdateLeafNodePVCs", "UpdateLeafNodePVCs", "successfully updated Leaf node PVC sizes"},
	{"UpdatePetSets", "UpdatePetSets", "successfully reconciled the Singlestore resources"},
	{"ReadyPetSets", "ReadyPetSets", "PetSet is recreated"},
	{"Successful", "Successful", "Successfully completed volumeExpansion for Singlestore"},
}

func TestOnlineTopology(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Equal(t, guideLines, lines(request))
	require.Equal(t, request.Generation, request.Status.ObservedGeneration)
	require.Equal(t, "2Gi", b.capacity("data-sdb-aggregator-0"))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))

	db := b.resumed("sdb")
	require.Equal(t, "2Gi", db.Spec.Topology.Aggregator.Storage.Resources.Requests.Storage().String())
	require.Equal(t, "11Gi", db.Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
	require.Equal(t, kubedb.DatabaseReady, b.ready("sdb").Status.Phase)
}

func TestOnlineStandalone(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.True(t, kubedb.IsConditionTrue(request.Status.Conditions, kubedb.ConditionUpdateNodePVCs))
	require.Equal(t, "2Gi", b.capacity("data-one-0"))
	require.Equal(t, "2Gi", b.resumed("one").Spec.Storage.Resources.Requests.Storage().String())
}

func TestOnlineOnlyOneComponent(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Nil(t, kubedb.FindCondition(request.Status.Conditions, kubedb.ConditionUpdateAggregatorNodePVCs))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
	require.Equal(t, "1Gi", b.capacity("data-sdb-aggregator-0"))
	require.Equal(t, "1Gi", b.resumed("sdb").Spec.Topology.Aggregator.Storage.Resources.Requests.Storage().String())
}

func TestOnlineSeveralVolumesPerComponent(t *testing.T) {
	b := setup(t)
	db := fixture.Topology("sdb", fixture.ClassOnline)
	three, four := int32(3), int32(4)
	db.Spec.Topology.Aggregator.Replicas, db.Spec.Topology.Leaf.Replicas = &three, &four
	b.createDatabase(db)
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	for i := range 3 {
		require.Equal(t, "2Gi", b.capacity(fmt.Sprintf("data-sdb-aggregator-%d", i)))
	}
	for i := range 4 {
		require.Equal(t, "11Gi", b.capacity(fmt.Sprintf("data-sdb-leaf-%d", i)))
	}
}

// A workload with two claim templates: both volumes of each pod grow, and both
// templates carry the size. The names of templates are read, never assumed.
func TestOnlineSeveralClaimTemplates(t *testing.T) {
	b := setup(t)
	b.createDatabaseWithLogs("sdb")
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	for _, claim := range []string{"data-sdb-leaf-0", "data-sdb-leaf-1", "write-ahead-log-sdb-leaf-0", "write-ahead-log-sdb-leaf-1"} {
		require.Equal(t, "11Gi", b.capacity(claim), claim)
	}
}

// createDatabaseWithLogs creates a database whose leaves have a second volume.
func (b *bundle) createDatabaseWithLogs(name string) {
	b.Helper()
	db := fixture.Topology(name, fixture.ClassOnline)
	db.Namespace = b.namespace
	labels := db.ComponentLabels(kubedb.ComponentLeaf)
	two := int32(2)
	set := &kubedb.PetSet{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-leaf", Labels: labels},
		Spec: kubedb.PetSetSpec{
			Replicas:    &two,
			ServiceName: db.GoverningServiceName(),
			Selector:    &metav1.LabelSelector{MatchLabels: db.ComponentSelectors(kubedb.ComponentLeaf)},
			Template:    corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{
				{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: *fixture.Storage("online-immediate", "10Gi")},
				{ObjectMeta: metav1.ObjectMeta{Name: "write-ahead-log"}, Spec: *fixture.Storage("online-immediate", "5Gi")},
			},
		},
	}
	set.Spec.Template.Spec.Containers = []corev1.Container{{Name: kubedb.ContainerSinglestore, Image: "singlestore"}}
	b.checker.ExcuseTemplate(set.Name)
	_, err := b.client.PetSets(b.namespace).Create(b.ctx, set, metav1.CreateOptions{})
	require.NoError(b, err)
	b.createDatabase(db)
	for _, claim := range []string{"data-" + name + "-leaf-0", "write-ahead-log-" + name + "-leaf-1"} {
		fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), claim, "bound", &corev1.PersistentVolumeClaim{},
			func(claim *corev1.PersistentVolumeClaim) bool { return claim.Status.Phase == corev1.ClaimBound })
	}
}

// The size is written as the storage autoscaler does: in plain bytes.
func TestOnlineSizeInBytes(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "15696033792"}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Zero(t, b.claim("data-sdb-leaf-0").Status.Capacity.Storage().Cmp(resource.MustParse("15696033792")))
}

// F21: the simulated node notices a volume after a minute by itself; the nudge
// makes it act at once.
func TestF21_TheNodeIsSlow(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassNode))
	created := time.Now()
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Less(t, time.Since(created), 55*time.Second, "the node waited for its own time")
	pod, err := b.core.CoreV1().Pods(b.namespace).Get(b.ctx, "sdb-leaf-1", metav1.GetOptions{})
	require.NoError(t, err)
	require.Contains(t, pod.Annotations["opsrelay.dev/resize-nudge"], "data-sdb-leaf-1=11Gi for ")
}

// Without the right to annotate pods there is no nudge: the volumes grow when
// the node notices them, and nothing fails.
func TestOnlineNodeExpansionWithoutNudge(t *testing.T) {
	b := setupOwn(t, stack.Options{NodeExpansionDelay: 3 * time.Second})
	role, err := b.core.RbacV1().ClusterRoles().Get(b.ctx, "opsrelay-expander", metav1.GetOptions{})
	require.NoError(t, err)
	for i, rule := range role.Rules {
		if rule.Resources[0] == "pods" {
			role.Rules = append(role.Rules[:i], role.Rules[i+1:]...)
			break
		}
	}
	_, err = b.core.RbacV1().ClusterRoles().Update(b.ctx, role, metav1.UpdateOptions{})
	require.NoError(t, err)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassNode))
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	pod, err := b.core.CoreV1().Pods(b.namespace).Get(b.ctx, "sdb-leaf-1", metav1.GetOptions{})
	require.NoError(t, err)
	require.NotContains(t, pod.Annotations, "opsrelay.dev/resize-nudge")
}

// Row 27: somebody has made every volume as large already, by hand. None is
// touched; what is made from now on has the size, too.
func TestF27_EveryVolumeIsLargeEnoughAlready(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	for claim, size := range map[string]string{"data-sdb-leaf-0": "11Gi", "data-sdb-leaf-1": "12Gi"} {
		patch := fmt.Appendf(nil, `{"spec":{"resources":{"requests":{"storage":%q}}}}`, size)
		_, err := b.core.CoreV1().PersistentVolumeClaims(b.namespace).Patch(b.ctx, claim, types.MergePatchType, patch, metav1.PatchOptions{})
		require.NoError(t, err)
		b.claimBecomes(claim, size, hasCapacity(size))
	}
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))

	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	require.Empty(t, b.audit("expander"), "nothing had to grow")
	require.Equal(t, "12Gi", b.claim("data-sdb-leaf-1").Spec.Resources.Requests.Storage().String())
	require.Equal(t, "11Gi", b.resumed("sdb").Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())
}

func TestOnlineSecondRequestAfterTheFirst(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	for i, size := range []string{"11Gi", "12Gi"} {
		name := fmt.Sprintf("grow-%d", i)
		b.create(fixture.Expansion(name, "sdb", fixture.Sizes{Leaf: size}))
		request := b.ended(name)
		require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
		require.Equal(t, size, b.capacity("data-sdb-leaf-1"))
		b.ready("sdb")
	}
}

func TestOnlineTwentyDatabases(t *testing.T) {
	b := setup(t)
	var group errgroup.Group
	for i := range 20 {
		group.Go(func() error {
			b.createDatabase(fixture.Topology(fmt.Sprintf("sdb-%d", i), fixture.ClassOnline))
			return nil
		})
	}
	require.NoError(t, group.Wait())
	for i := range 20 {
		b.create(fixture.Expansion(fmt.Sprintf("grow-%d", i), fmt.Sprintf("sdb-%d", i), fixture.Guide))
	}
	for i := range 20 {
		request := b.ended(fmt.Sprintf("grow-%d", i))
		require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
		require.Equal(t, "11Gi", b.capacity(fmt.Sprintf("data-sdb-%d-leaf-1", i)))
	}
}

// kubectl get sdbops prints NAME TYPE STATUS AGE.
func TestPrinterColumns(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}))
	b.ended("grow")

	config := b.stack.Cluster.Config()
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	url := config.Host + "/apis/ops.kubedb.com/v1alpha1/namespaces/" + b.namespace + "/singlestoreopsrequests"
	request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	var table metav1.Table
	require.NoError(t, json.NewDecoder(response.Body).Decode(&table))
	var columns []string
	for _, column := range table.ColumnDefinitions {
		columns = append(columns, column.Name)
	}
	require.Equal(t, []string{"Name", "Type", "Status", "Age"}, columns)
	require.Equal(t, []any{"grow", "VolumeExpansion", "Successful"}, table.Rows[0].Cells[:3])
}
