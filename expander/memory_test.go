// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// waitingBudget is what a request may cost whose three volumes grow: their
// claims in the cache, what was done about them, and the stack that waits.
const waitingBudget = 28 << 10

// It is not parallel: nothing else may allocate meanwhile.
func TestAWaitingRequestIsCheap(t *testing.T) {
	const requests, volumes = 1000, 3
	core, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:0"}) // nobody is asked
	require.NoError(t, err)
	claims, err := NewClaims(core, "")
	require.NoError(t, err)
	x := New(nil, core, claims, nil, func(context.Context, events.ChainKey, events.Progress) {})
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()

	before := inUse()
	size := resource.MustParse("11Gi")
	for i := range requests {
		e := events.Event{Operation: events.Operation{Database: events.Reference{Namespace: "demo", Name: fmt.Sprintf("db%d", i)}}}
		run := newGrowth(x, e, events.Component{Name: "leaf", Workload: fmt.Sprintf("db%d-leaf", i), To: "11Gi"}, size)
		run.set = &kubedb.Workload{}
		for volume := range volumes {
			name := fmt.Sprintf("data-db%d-leaf-%d", i, volume)
			run.names = append(run.names, name)
			object, err := slim(growingClaim(name))
			require.NoError(t, err)
			require.NoError(t, claims.informer.GetStore().Add(object))
		}
		waiting.Go(func() { _, _ = run.wait(ctx, nil) })
	}
	require.Eventually(t, func() bool {
		claims.mu.Lock()
		defer claims.mu.Unlock()
		return len(claims.waiting) == requests*volumes
	}, 2*time.Minute, 10*time.Millisecond)
	each := (inUse() - before) / requests
	t.Logf("%d bytes for a waiting request", each)
	require.Less(t, each, int64(waitingBudget), "bytes for a waiting request of %d volumes", volumes)
}

// inUse is the memory of heap and stacks that is used, garbage aside.
func inUse() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse)
}

// growingClaim is as large in the API as such claims are.
func growingClaim(name string) *corev1.PersistentVolumeClaim {
	class, quantity := "fast", func(text string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(text)}
	}
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "demo", ResourceVersion: "1",
			Labels:        map[string]string{"app.kubernetes.io/instance": "db", "app.kubernetes.io/name": "singlestores.kubedb.com"},
			Annotations:   map[string]string{"pv.kubernetes.io/bind-completed": "yes", "volume.kubernetes.io/storage-provisioner": "csi.example.com"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 4<<10))}},
		},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, VolumeName: "pvc-" + name, Resources: corev1.VolumeResourceRequirements{Requests: quantity("11Gi")}},
		Status: corev1.PersistentVolumeClaimStatus{
			Phase: corev1.ClaimBound, Capacity: quantity("10Gi"), AllocatedResources: quantity("11Gi"),
			AllocatedResourceStatuses: map[corev1.ResourceName]corev1.ClaimResourceStatus{
				corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInProgress,
			},
			Conditions: []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimResizing, Status: corev1.ConditionTrue}},
		},
	}
}
