// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// Each test here makes a failure of the storage's surroundings happen, sees that
// the plan tells of it, and that the watcher rejects the request for it before
// anything is paused.

func TestF10_OneClassDoesNotAllowExpansion(t *testing.T) {
	b := setup(t)
	db := fixture.Topology("sdb", fixture.ClassOnline)
	fixed := fixture.ClassFixed
	db.Spec.Topology.Leaf.Storage.StorageClassName = &fixed
	b.createDatabase(db)
	request := fixture.Expansion("grow", "sdb", fixture.Guide)
	b.planned("class-does-not-grow", blocked, request)
	b.rejected(request, plan.ReasonExpansionNotAllowed)
}

func TestF11_ClassChangesMidway(t *testing.T) {
	b := setup(t)
	own := b.class("leaf", provisioner)
	db := fixture.Topology("sdb", fixture.ClassOnline)
	db.Spec.Topology.Leaf.Storage.StorageClassName = &own
	b.createDatabase(db)
	b.pauseByCLI("sdb")
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))
	b.condition("grow", kubedb.ConditionWaiting) // admitted, and not begun
	_, err := b.core.StorageV1().StorageClasses().Patch(b.ctx, own, types.MergePatchType, []byte(`{"allowVolumeExpansion":false}`), metav1.PatchOptions{})
	require.NoError(t, err)
	b.resumeByCLI("sdb")
	ended := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, ended.Status.Phase)
	require.Contains(t, fixture.FailureOf(ended), "ExpansionRefused")
	require.Contains(t, fixture.FailureOf(ended), "data-sdb-leaf-0 10Gi of 11Gi", "it says which volume has which size")
	require.Equal(t, "10Gi", b.resumed("sdb").Spec.Topology.Leaf.Storage.Resources.Requests.Storage().String())

	require.NoError(t, b.core.StorageV1().StorageClasses().Delete(b.ctx, own, metav1.DeleteOptions{}))
	again := fixture.Expansion("again", "sdb", fixture.Sizes{Leaf: "11Gi"})
	b.planned("class-is-gone", blocked, again)
	b.create(again)
	require.Contains(t, fixture.FailureOf(b.ended("again")), ": "+plan.ReasonNoStorageClass+": ")
}

func TestF12_StaticVolumes(t *testing.T) {
	b := setup(t)
	own := b.class("static", provisioner)
	b.staticVolume("data-one-0", own)
	b.createDatabase(fixture.Standalone("one", own))
	static := fixture.Expansion("static", "one", fixture.Sizes{Node: "2Gi"})
	b.planned("static-volume", blocked, static)
	b.rejected(static, plan.ReasonStaticVolume)
	static.Name, static.Annotations = "allowed", map[string]string{plan.AnnotationStaticVolumes: "allow"}
	b.planned("static-volume-allowed", runnable, static)

	b.staticVolume("data-bare-0", "")
	bare := fixture.Standalone("bare", "")
	b.createDatabase(bare)
	request := fixture.Expansion("bare", "bare", fixture.Sizes{Node: "2Gi"})
	b.planned("no-class", blocked, request)
	b.rejected(request, plan.ReasonNoStorageClass)
}

// staticVolume makes a volume of 1Gi by hand, and the claim that it is for.
func (b *bundle) staticVolume(claim, class string) {
	b.Helper()
	name := b.namespace + "-" + claim
	once := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	_, err := b.core.CoreV1().PersistentVolumes().Create(b.ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: once, StorageClassName: class,
			ClaimRef:               &corev1.ObjectReference{Namespace: b.namespace, Name: claim},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	_, err = b.core.CoreV1().PersistentVolumeClaims(b.namespace).Create(b.ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: once, StorageClassName: &class, VolumeName: name,
			Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), claim, "to be Bound", &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool { return claim.Status.Phase == corev1.ClaimBound })
}

func TestF13_QuotaExceeded(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	// 21Gi are used, 2Gi more are needed for the leaves.
	b.quota("all", corev1.ResourceRequestsStorage, "22Gi")
	request := fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"})
	b.planned("quota", blocked, request)
	b.rejected(request, plan.ReasonQuotaExceeded)

	b.quota("all", corev1.ResourceRequestsStorage, "23Gi")
	b.quota("class", "online.storageclass.storage.k8s.io/requests.storage", "22Gi")
	b.quota("other-class", "node-expansion.storageclass.storage.k8s.io/requests.storage", "1Gi")
	request.Name = "grow-class"
	b.planned("quota-of-a-class", blocked, request)
	b.rejected(request, plan.ReasonQuotaExceeded)

	// Quotas of a scope do not count claims that are out of it.
	scoped, one := corev1.ResourceQuotaScopeVolumeAttributesClass, resource.MustParse("1Gi")
	_, err := b.core.CoreV1().ResourceQuotas(b.namespace).Create(b.ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "scoped"},
		Spec: corev1.ResourceQuotaSpec{
			Hard: corev1.ResourceList{corev1.ResourceRequestsStorage: one}, Scopes: []corev1.ResourceQuotaScope{scoped},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	// The race: there was room when it was admitted, and then there is none.
	b.quota("class", "online.storageclass.storage.k8s.io/requests.storage", "23Gi")
	b.planned("quota-is-enough", runnable, fixture.Expansion("fits", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	b.pauseByCLI("sdb")
	b.create(fixture.Expansion("raced", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	b.condition("raced", kubedb.ConditionWaiting)
	b.quota("all", corev1.ResourceRequestsStorage, "21Gi")
	b.resumeByCLI("sdb")
	require.Eventually(t, func() bool {
		log, err := os.ReadFile(b.stack.LogFile("expander"))
		require.NoError(t, err)
		return slices.ContainsFunc(strings.Split(string(log), "\n"), func(line string) bool {
			return strings.Contains(line, b.namespace) && strings.Contains(line, "exceeded quota: all")
		})
	}, patience, 100*time.Millisecond, "the API server refuses the larger claims")
	b.quota("all", corev1.ResourceRequestsStorage, "23Gi")
	raced := b.ended("raced")
	require.Equal(t, kubedb.OpsSuccessful, raced.Status.Phase, fixture.FailureOf(raced))

	// The same, and nobody makes room before the deadline.
	b.ready("sdb")
	b.quota("all", corev1.ResourceRequestsStorage, "30Gi")
	b.quota("class", "online.storageclass.storage.k8s.io/requests.storage", "30Gi")
	b.pauseByCLI("sdb")
	b.create(fixture.Expansion("late", "sdb", fixture.Sizes{Leaf: "12Gi"}, timeout(8*time.Second)))
	b.condition("late", kubedb.ConditionWaiting)
	b.quota("all", corev1.ResourceRequestsStorage, "23Gi")
	b.resumeByCLI("sdb")
	late := b.ended("late")
	require.Equal(t, kubedb.OpsFailed, late.Status.Phase)
	require.Contains(t, fixture.FailureOf(late), ": QuotaExceeded: ")
	require.Contains(t, fixture.FailureOf(late), "exceeded quota: all", "the API server's own words")
	require.Contains(t, fixture.FailureOf(late), "data-sdb-leaf-1 11Gi of 12Gi")
	b.resumed("sdb")
}

// quota sets a quota of one resource, and waits until it is counted.
func (b *bundle) quota(name string, counted corev1.ResourceName, hard string) {
	b.Helper()
	quotas := b.core.CoreV1().ResourceQuotas(b.namespace)
	size := resource.MustParse(hard)
	quota := &corev1.ResourceQuota{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ResourceQuota"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{counted: size}},
	}
	old, err := quotas.Get(b.ctx, name, metav1.GetOptions{})
	if err == nil {
		quota.ResourceVersion = old.ResourceVersion
		_, err = quotas.Update(b.ctx, quota, metav1.UpdateOptions{})
	} else {
		_, err = quotas.Create(b.ctx, quota, metav1.CreateOptions{})
	}
	require.NoError(b, err)
	fixture.Eventually(b.ctx, b, quotas, name, "to be counted", &corev1.ResourceQuota{}, func(quota *corev1.ResourceQuota) bool {
		known, counts := quota.Status.Hard[counted], quota.Status.Used
		_, ok := counts[counted]
		return ok && known.Cmp(size) == 0
	})
}

func TestF14_LimitRange(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	_, err := b.core.CoreV1().LimitRanges(b.namespace).Create(b.ctx, &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypePersistentVolumeClaim, Max: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
		}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	request := fixture.Expansion("grow", "sdb", fixture.Guide)
	b.planned("limit-range", blocked, request)
	b.rejected(request, plan.ReasonLimitRange)
}

func TestF29_OneVolumeIsLargerAlready(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	_, err := b.core.CoreV1().PersistentVolumeClaims(b.namespace).Patch(b.ctx, "data-sdb-leaf-1", types.MergePatchType,
		[]byte(`{"spec":{"resources":{"requests":{"storage":"20Gi"}}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	fixture.Eventually(b.ctx, b, b.core.CoreV1().PersistentVolumeClaims(b.namespace), "data-sdb-leaf-1", "to have 20Gi", &corev1.PersistentVolumeClaim{},
		func(claim *corev1.PersistentVolumeClaim) bool {
			return claim.Status.Capacity.Storage().String() == "20Gi"
		})
	request := fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"})
	b.planned("one-is-larger", runnable, request)
	b.create(request)
	ended := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-0"))
	require.Equal(t, "20Gi", b.capacity("data-sdb-leaf-1"))
}

// A claim that is being deleted is nothing to work on. The invariants forbid the
// relay to delete one, so this is where they are not watched.
func TestPlanOfATerminatingClaim(t *testing.T) {
	b := setup(t)
	namespace, err := b.core.CoreV1().Namespaces().Create(b.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.namespace = namespace.Name
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	require.NoError(t, b.core.CoreV1().PersistentVolumeClaims(b.namespace).Delete(b.ctx, "data-sdb-leaf-0", metav1.DeleteOptions{}))
	request := fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"})
	b.planned("claim-is-terminating", blocked, request)
	b.rejected(request, plan.ReasonClaimTerminating)
}

func TestF61_EverySpellingOfASize(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	const request = `
apiVersion: ops.kubedb.com/v1alpha1
kind: SinglestoreOpsRequest
metadata: {name: grow}
spec: {type: VolumeExpansion, databaseRef: {name: one}, volumeExpansion: {mode: Online, node: SIZE}}
`
	for size, says := range map[string]string{
		`"2Gi"`: "", `"2048Mi"`: "", `"2G"`: "", `"1.5Gi"`: "", "2147483648": "", `"2147483648000m"`: "", `"1073741824500m"`: "", `"2e9"`: "", "1073741825": "",
		`"1Gi"`: plan.ReasonSizeNotGreater, `"1G"`: plan.ReasonSizeNotGreater, "1073741824": plan.ReasonSizeNotGreater, `"1024Mi"`: plan.ReasonSizeNotGreater,
		`"0"`: plan.ReasonInvalidRequest, `"-2Gi"`: plan.ReasonInvalidRequest,
		`"1e3Gi"`: plan.ReasonInvalidRequest, `"much"`: plan.ReasonInvalidRequest, `""`: plan.ReasonInvalidRequest,
		"9007199254740993": plan.ReasonSizeTooLarge, `"9223372036854775808"`: plan.ReasonSizeTooLarge, `"1e30"`: plan.ReasonSizeTooLarge, `"65Ti"`: plan.ReasonSizeTooLarge,
	} {
		file := filepath.Join(t.TempDir(), "request.yaml")
		require.NoError(t, os.WriteFile(file, []byte(strings.Replace(request, "SIZE", size, 1)), 0o600))
		text, err := b.opsrelay("plan", "-f", file, "-n", b.namespace)
		if says == "" {
			require.NoError(t, err, "%s: %s", size, text)
			continue
		}
		require.Equal(t, blocked, exitCode(err), "%s: %s", size, text)
		require.Contains(t, text, "Blocking: "+says+":", size)
	}
	b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "1610612736500m"}))
	ended := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
	have := b.claim("data-one-0").Status.Capacity.Storage()
	require.GreaterOrEqual(t, have.Cmp(resource.MustParse("1610612736500m")), 0, have)
}

func TestF62_HugeSizes(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	request := fixture.Expansion("grow", "sdb", fixture.Sizes{Aggregator: "2Gi", Leaf: "100Ti"})
	b.planned("too-large", blocked, request)
	b.rejected(request, plan.ReasonSizeTooLarge)
	request.Name = "again"
	b.planned("large-is-allowed", runnable, request, "--max-size", "0")
	b.planned("shrink", blocked, fixture.Expansion("less", "sdb", fixture.Sizes{Leaf: "9Gi"}))
	ephemeral := fixture.Standalone("ephemeral", fixture.ClassOnline)
	ephemeral.Spec.StorageType, ephemeral.Spec.Storage = kubedb.StorageEphemeral, nil
	_, err := b.client.Singlestores(b.namespace).Create(b.ctx, ephemeral, metav1.CreateOptions{})
	require.NoError(t, err)
	b.planned("ephemeral", blocked, fixture.Expansion("none", "ephemeral", fixture.Sizes{Node: "2Gi"}))
}
