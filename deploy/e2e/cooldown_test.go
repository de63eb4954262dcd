// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// A volume that was expanded as often as its storage takes is left alone: the
// request waits, unpaused, until the time that its status names, whatever is
// restarted or deleted meanwhile.
func TestF51_TheStorageTakesNoMore(t *testing.T) {
	const limit = "--expansion-limit=" + provisioner + "=2/24h"
	b := setupOwn(t, stack.Options{Args: map[string][]string{"watcher": {limit}}})
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	for _, step := range []struct{ name, size string }{{"first", "2Gi"}, {"second", "3Gi"}} {
		b.create(fixture.Expansion(step.name, "one", fixture.Sizes{Node: step.size}))
		ended := b.ended(step.name)
		require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
		require.NoError(t, b.client.SinglestoreOpsRequests(b.namespace).Delete(b.ctx, step.name, metav1.DeleteOptions{}))
	}
	expansions := kubedb.Expansions(b.claim("data-one-0"))
	require.Len(t, expansions, 2)

	third := fixture.Expansion("third", "one", fixture.Sizes{Node: "4Gi"})
	b.planned("cooling-down", waits, third, limit)
	b.create(third)
	cooling := func() string {
		waiting := b.condition("third", kubedb.ConditionWaiting)
		require.Equal(t, kubedb.OpsPending, waiting.Status.Phase)
		condition := kubedb.FindCondition(waiting.Status.Conditions, kubedb.ConditionWaiting)
		require.Equal(t, plan.ReasonCoolingDown, condition.Reason)
		return condition.Message
	}
	message := cooling()
	require.Contains(t, message, "next attempt is at "+expansions[0].Add(24*time.Hour).UTC().Format(time.RFC3339))
	require.False(t, kubedb.IsPaused(b.ready("one")))

	// A request that is recreated by another watcher is told the same.
	require.NoError(t, b.stack.KillService("watcher"))
	require.NoError(t, b.client.SinglestoreOpsRequests(b.namespace).Delete(b.ctx, "third", metav1.DeleteOptions{}))
	b.gone("third")
	b.create(third)
	require.NoError(t, b.stack.StartService("watcher"))
	require.Equal(t, message, cooling())

	// A day passes, but for some seconds.
	require.NoError(t, b.stack.KillService("watcher"))
	soon := time.Now().Add(5*time.Second - 24*time.Hour).UTC().Format(time.RFC3339)
	_, err := b.core.CoreV1().PersistentVolumeClaims(b.namespace).Patch(b.ctx, "data-one-0", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"`+kubedb.AnnotationExpansions+`":"`+soon+","+soon+`"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.NoError(t, b.stack.StartService("watcher"))
	ended := b.ended("third")
	require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
	require.Equal(t, "4Gi", b.capacity("data-one-0"))
}
