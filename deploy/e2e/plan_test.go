// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/user"
)

// go test ./deploy/e2e -run 'TestPlan|TestF' -update
var update = flag.Bool("update", false, "rewrite the golden files of opsrelay plan")

// The exit codes of opsrelay plan.
const (
	runnable = 0
	blocked  = user.ExitBlocked
	waits    = user.ExitWaits
)

// planned requires that `opsrelay plan` of the request, which is not created,
// says what is in the golden file, and ends with the exit code.
func (b *bundle) planned(golden string, code int, request *kubedb.SinglestoreOpsRequest, args ...string) {
	b.Helper()
	b.sameAsGolden(golden, code, append([]string{"-f", b.write(request), "-n", b.namespace}, args...)...)
}

// write writes the request into a file.
func (b *bundle) write(request *kubedb.SinglestoreOpsRequest) string {
	b.Helper()
	request = request.DeepCopy()
	request.APIVersion, request.Kind = kubedb.OpsGroupVersion.String(), kubedb.KindSinglestoreOpsRequest
	text, err := yaml.Marshal(request)
	require.NoError(b, err)
	file := filepath.Join(b.TempDir(), "request.yaml")
	require.NoError(b, os.WriteFile(file, text, 0o600))
	return file
}

func (b *bundle) sameAsGolden(golden string, code int, args ...string) {
	b.Helper()
	text, err := b.opsrelay(append([]string{"plan"}, args...)...)
	require.Equal(b, code, exitCode(err), "%v\n%s", err, text)
	text = b.normal(text)
	file := filepath.Join("testdata", "plan", golden+".golden")
	if *update {
		require.NoError(b, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(b, os.WriteFile(file, []byte(text), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(b, err)
	require.Equal(b, string(want), text)
}

// volatile is what differs from run to run, besides the namespace.
var volatile = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|pvc-[0-9a-f-]{36}`)

func (b *bundle) normal(text string) string {
	text = strings.ReplaceAll(text, b.namespace, "NAMESPACE")
	return volatile.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "pvc-") {
			return "PV"
		}
		return "TIME"
	})
}

func exitCode(err error) int {
	var coded *user.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.Code
	default:
		return 1
	}
}

// rejected creates the request and requires that it is rejected for that reason
// as its plan says, with nothing else changed.
func (b *bundle) rejected(request *kubedb.SinglestoreOpsRequest, reason string) {
	b.Helper()
	before := b.versions()
	b.create(request)
	ended := b.ended(request.Name)
	require.Equal(b, kubedb.OpsFailed, ended.Status.Phase)
	require.Contains(b, fixture.FailureOf(ended), ": "+reason+": ")
	require.Len(b, ended.Status.Conditions, 1)
	require.Equal(b, before, b.versions(), "nothing but the request was changed")
}

// class makes a StorageClass of the test's own that grows online.
func (b *bundle) class(suffix, provisioner string) string {
	b.Helper()
	grows, wait := true, storagev1.VolumeBindingWaitForFirstConsumer
	class := &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: b.namespace + "-" + suffix},
		Provisioner: provisioner, AllowVolumeExpansion: &grows, VolumeBindingMode: &wait,
	}
	_, err := b.core.StorageV1().StorageClasses().Create(b.ctx, class, metav1.CreateOptions{})
	require.NoError(b, err)
	return class.Name
}

// provisioner is that of the development cluster's classes.
const provisioner = "csi.devcluster.opsrelay.dev"

// What a plan says of databases that are well, and of what waits or is merely
// worth knowing.
func TestPlanOfWhatWaits(t *testing.T) {
	b := setup(t)
	own := b.class("own", provisioner)
	b.createDatabase(fixture.Topology("sdb", own))
	both := fixture.Expansion("grow", "sdb", fixture.Guide)
	b.planned("runnable", runnable, both)
	b.planned("runnable-json", runnable, both, "-o", "json")
	text, err := b.opsrelay("plan", "-f", b.write(both), "-n", b.namespace, "-o", "json")
	require.NoError(t, err)
	b.valid("plan", text)
	b.planned("runnable-yaml", runnable, both, "-o", "yaml")

	restarting := fixture.Expansion("offline", "sdb", fixture.Guide, offline)
	b.planned("offline", runnable, restarting)

	capacity, most := resource.MustParse("1Gi"), resource.MustParse("10Gi")
	_, err = b.core.StorageV1().CSIStorageCapacities(b.namespace).Create(b.ctx, &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{Name: "pool"}, StorageClassName: own, NodeTopology: &metav1.LabelSelector{},
		Capacity: &capacity, MaximumVolumeSize: &most,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.planned("capacity", runnable, both)
	require.NoError(t, b.core.StorageV1().CSIStorageCapacities(b.namespace).Delete(b.ctx, "pool", metav1.DeleteOptions{}))

	b.pauseByCLI("sdb")
	b.planned("paused", waits, both)
	b.create(both)
	b.condition("grow", kubedb.ConditionWaiting)
	b.planned("name-taken", blocked, both)
	b.planned("queued", waits, fixture.Expansion("next", "sdb", fixture.Sizes{Leaf: "12Gi"}))
	b.sameAsGolden("under-way", waits, b.namespace+"/grow")
	b.resumeByCLI("sdb")
	require.Equal(t, kubedb.OpsSuccessful, b.ended("grow").Status.Phase)
	b.sameAsGolden("ended", blocked, "grow", "-n", b.namespace)
}

// A database whose volumes are not there yet.
func TestPlanOfAYoungDatabase(t *testing.T) {
	b := setup(t)
	_, err := b.client.Singlestores(b.namespace).Create(b.ctx, fixture.Standalone("one", b.class("none", "nobody.example.com")), metav1.CreateOptions{})
	require.NoError(t, err)
	fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-one-0", "to be Pending", &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool { return claim.Status.Phase == corev1.ClaimPending })
	fixture.Eventually(b.ctx, b, b.client.Singlestores(b.namespace), "one", "to be Provisioning", &kubedb.Singlestore{},
		func(db *kubedb.Singlestore) bool { return db.Status.Phase == kubedb.DatabaseProvisioning })
	b.planned("young", waits, fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}))
	b.planned("no-database", blocked, fixture.Expansion("grow", "two", fixture.Sizes{Node: "2Gi"}))
}

// F59: what a PodDisruptionBudget does to a request that restarts pods.
func TestF59_DisruptionBudgetIsInThePlan(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	two := intstr.FromInt32(2)
	_, err := b.core.PolicyV1().PodDisruptionBudgets(b.namespace).Create(b.ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "stay"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: &two,
			Selector:     &metav1.LabelSelector{MatchLabels: map[string]string{kubedb.LabelPetSet: kubedb.ComponentLeaf}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	fixture.Eventually(b.ctx, b, b.core.PolicyV1().PodDisruptionBudgets(b.namespace), "stay", "to count both leaves", &policyv1.PodDisruptionBudget{},
		func(budget *policyv1.PodDisruptionBudget) bool { return budget.Status.CurrentHealthy == 2 })
	request := fixture.Expansion("offline", "sdb", fixture.Guide, offline)
	b.planned("disruption-budget", waits, request)
	request.Spec.VolumeExpansion.Mode = kubedb.ModeOnline
	b.planned("disruption-budget-online", runnable, request)
}
