// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
)

const nodeExpansionWorkers = 16

// nodeExpander plays the kubelet's part in growing a volume. Like a kubelet it
// acts when a pod that mounts the volume is synced: at once when the pod starts
// or its metadata changes, else when its sync period is over.
type nodeExpander struct {
	client kubernetes.Interface
	driver csi.NodeClient
	claims corelisters.PersistentVolumeClaimLister
	pods   cache.Indexer
	queue  *workQueue
	delay  time.Duration

	mu sync.Mutex
	// pendingSince is when a claim was first seen waiting for its node.
	pendingSince map[types.UID]time.Time
	// nudged are the claims whose pod was synced and that were not looked at since.
	nudged map[cache.ObjectName]bool
}

// byClaim indexes pods by the claims they mount.
const byClaim = "claim"

func newNodeExpander(client kubernetes.Interface, driver csi.NodeClient, shared informers.SharedInformerFactory, delay time.Duration) (*nodeExpander, error) {
	pods, claims := shared.Core().V1().Pods().Informer(), shared.Core().V1().PersistentVolumeClaims()
	e := &nodeExpander{
		client: client, driver: driver, claims: claims.Lister(), pods: pods.GetIndexer(), delay: delay,
		pendingSince: map[types.UID]time.Time{}, nudged: map[cache.ObjectName]bool{},
	}
	e.queue = newWorkQueue("node-expansion", nodeExpansionWorkers, e.sync)
	err := pods.AddIndexers(cache.Indexers{byClaim: func(obj any) ([]string, error) {
		var keys []string
		for _, claim := range claimsOf(obj.(*corev1.Pod)) {
			keys = append(keys, claim.String())
		}
		return keys, nil
	}})
	if err != nil {
		return nil, fmt.Errorf("index pods by claim: %w", err)
	}
	if _, err := claims.Informer().AddEventHandler(onChange(e.claimChanged)); err != nil {
		return nil, fmt.Errorf("watch claims: %w", err)
	}
	_, err = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(old, pod any) {
		e.podChanged(old.(*corev1.Pod), pod.(*corev1.Pod))
	}})
	if err != nil {
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	return e, nil
}

func (e *nodeExpander) run(ctx context.Context) error { return e.queue.run(ctx) }

func (e *nodeExpander) claimChanged(claim *corev1.PersistentVolumeClaim) {
	if pendingOnNode(claim) {
		e.queue.add(cache.MetaObjectToName(claim))
	} else {
		e.forget(claim.UID)
	}
}

func (e *nodeExpander) podChanged(old, pod *corev1.Pod) {
	if !kubeletSyncs(old, pod) {
		return
	}
	for _, claim := range claimsOf(pod) {
		e.nudge(claim)
		e.queue.add(claim)
	}
}

// kubeletSyncs tells whether a change of a pod makes its kubelet sync it now.
func kubeletSyncs(old, pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodRunning {
		return false
	}
	return old.Status.Phase != corev1.PodRunning ||
		!maps.Equal(old.Annotations, pod.Annotations) ||
		!maps.Equal(old.Labels, pod.Labels) ||
		!slices.Equal(old.Finalizers, pod.Finalizers)
}

// sync finishes the growth of one claim if it waits for its node and its time
// has come.
func (e *nodeExpander) sync(ctx context.Context, key cache.ObjectName) (err error) {
	nudged := e.takeNudge(key)
	defer func() {
		if err != nil && nudged {
			e.nudge(key)
		}
	}()
	claim, err := e.claim(ctx, key, nudged)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !pendingOnNode(claim) {
		return nil
	}
	wait := time.Until(e.firstSeen(claim.UID).Add(e.delay))
	if !e.mounted(key) {
		return nil // the pod that mounts it next brings it back
	}
	if !nudged && wait > 0 {
		e.queue.addAfter(key, wait)
		return nil
	}
	size := claim.Status.AllocatedResources[corev1.ResourceStorage]
	_, err = e.driver.NodeExpandVolume(ctx, &csi.NodeExpandVolumeRequest{
		VolumeId: claim.Spec.VolumeName, CapacityRange: &csi.CapacityRange{RequiredBytes: size.Value()},
	})
	if err != nil {
		return e.fail(claim, err)
	}
	return e.finish(ctx, claim)
}

// fail writes what the kubelet does of a growth that the driver refuses. One that
// can never go well is handed back to the resizer, any other is tried again.
func (e *nodeExpander) fail(claim *corev1.PersistentVolumeClaim, refusal error) error {
	switch status.Code(refusal) {
	case codes.OutOfRange, codes.InvalidArgument, codes.NotFound:
		_, err := volumeutil.MarkNodeExpansionInfeasible(claim, e.client, refusal)
		return err
	default:
		_, err := volumeutil.MarkNodeExpansionFailedCondition(claim, e.client, refusal)
		return errors.Join(refusal, err)
	}
}

// claim reads a claim; for a nudge from the API itself, as a kubelet does,
// because the pod's change may be seen before that of the claim it was made for.
func (e *nodeExpander) claim(ctx context.Context, key cache.ObjectName, live bool) (*corev1.PersistentVolumeClaim, error) {
	if live {
		return e.client.CoreV1().PersistentVolumeClaims(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	}
	return e.claims.PersistentVolumeClaims(key.Namespace).Get(key.Name)
}

// finish is the kubelet's last patch: capacity, statuses and conditions at once.
func (e *nodeExpander) finish(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	size := claim.Status.AllocatedResources[corev1.ResourceStorage]
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": claim.ResourceVersion},
		"status": map[string]any{
			"capacity":                  map[string]any{"storage": size.String()},
			"allocatedResourceStatuses": nil,
			"conditions":                nil,
		},
	})
	if err != nil {
		return fmt.Errorf("encode the patch of claim %s: %w", claim.Name, err)
	}
	_, err = e.client.CoreV1().PersistentVolumeClaims(claim.Namespace).
		Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("finish the growth of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	e.forget(claim.UID)
	return nil
}

// mounted tells whether a running pod has the claim.
func (e *nodeExpander) mounted(claim cache.ObjectName) bool {
	pods, err := e.pods.ByIndex(byClaim, claim.String())
	return err == nil && slices.ContainsFunc(pods, func(obj any) bool {
		return obj.(*corev1.Pod).Status.Phase == corev1.PodRunning
	})
}

func (e *nodeExpander) nudge(claim cache.ObjectName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nudged[claim] = true
}

func (e *nodeExpander) takeNudge(claim cache.ObjectName) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer delete(e.nudged, claim)
	return e.nudged[claim]
}

func (e *nodeExpander) firstSeen(claim types.UID) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.pendingSince[claim]; !ok {
		e.pendingSince[claim] = time.Now()
	}
	return e.pendingSince[claim]
}

func (e *nodeExpander) forget(claim types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pendingSince, claim)
}

// pendingOnNode tells whether the controller's part is done and the node's is not.
func pendingOnNode(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] == corev1.PersistentVolumeClaimNodeResizePending
}

// claimsOf names the claims that a pod mounts.
func claimsOf(pod *corev1.Pod) []cache.ObjectName {
	var claims []cache.ObjectName
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			claims = append(claims, cache.NewObjectName(pod.Namespace, volume.PersistentVolumeClaim.ClaimName))
		}
	}
	return claims
}
