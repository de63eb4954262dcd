// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
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
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
)

const nodeExpansionWorkers = 16

// Back-off of a growth that failed, as long as the kubelet's for an operation on a
// volume.
const (
	firstExpansionRetry = 500 * time.Millisecond
	lastExpansionRetry  = 2*time.Minute + 2*time.Second
)

// nodeExpander plays the kubelet's part in growing a volume: for the size that was
// allocated, which may be less than what the claim asks for, and only while a pod
// runs with it. Like a kubelet it learns of it when such a pod is synced: at once
// when the pod starts or its metadata changes, else when its sync period is over.
// From then on it tries again by itself, whatever its driver answered.
type nodeExpander struct {
	client kubernetes.Interface
	driver csi.NodeClient
	claims corelisters.PersistentVolumeClaimLister
	pods   cache.Indexer
	queue  *workQueue
	delay  time.Duration

	mu sync.Mutex
	// due is when a claim that waits for its node is looked at without a nudge.
	due map[cache.ObjectName]time.Time
	// nudged are the claims whose pod was synced and that were not looked at since.
	nudged map[cache.ObjectName]bool
	// failed is the back-off of those that were tried and did not grow.
	failed workqueue.TypedRateLimiter[cache.ObjectName]
}

// byClaim indexes pods by the claims they mount.
const byClaim = "claim"

func newNodeExpander(client kubernetes.Interface, driver csi.NodeClient, shared informers.SharedInformerFactory, delay time.Duration) (*nodeExpander, error) {
	pods, claims := shared.Core().V1().Pods().Informer(), shared.Core().V1().PersistentVolumeClaims()
	e := &nodeExpander{
		client: client, driver: driver, claims: claims.Lister(), pods: pods.GetIndexer(), delay: delay,
		due: map[cache.ObjectName]time.Time{}, nudged: map[cache.ObjectName]bool{},
		failed: workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](firstExpansionRetry, lastExpansionRetry),
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
	switch {
	case pendingOnNode(claim):
		e.queue.add(cache.MetaObjectToName(claim))
	case expansion(claim) != corev1.PersistentVolumeClaimNodeResizeInfeasible: // which the resizer hands back
		e.forget(cache.MetaObjectToName(claim))
	}
}

func (e *nodeExpander) podChanged(old, pod *corev1.Pod) {
	if !kubeletSyncs(old, pod) {
		return
	}
	for _, claim := range claimsOf(pod) {
		if old.Status.Phase != corev1.PodRunning {
			e.forget(claim) // it is mounted again
		}
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
	if !e.mounted(key) {
		return nil // the pod that mounts it next brings it back
	}
	wait := time.Until(e.dueAt(key))
	if tried := e.failed.NumRequeues(key) > 0; wait > 0 && (tried || !nudged) {
		e.queue.addAfter(key, wait)
		return nil
	}
	return e.expand(ctx, claim)
}

// expand does the node's part, and writes what came of it as a kubelet does.
func (e *nodeExpander) expand(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	claim, err := volumeutil.MarkNodeExpansionInProgress(claim, e.client)
	if err != nil {
		return err
	}
	size := claim.Status.AllocatedResources[corev1.ResourceStorage]
	_, err = e.driver.NodeExpandVolume(ctx, &csi.NodeExpandVolumeRequest{
		VolumeId: claim.Spec.VolumeName, CapacityRange: &csi.CapacityRange{RequiredBytes: size.Value()},
	})
	if err != nil {
		return e.fail(claim, err)
	}
	_, err = volumeutil.MarkNodeExpansionFinishedWithRecovery(claim, size, e.client)
	return err // the claim's change forgets it
}

// fail writes what the kubelet does of a growth that the driver refuses, and tries
// again later: one that can never go well once the resizer has handed it back. The
// condition keeps the words of the first refusal.
func (e *nodeExpander) fail(claim *corev1.PersistentVolumeClaim, refusal error) (err error) {
	key := cache.MetaObjectToName(claim)
	wait := e.failed.When(key)
	e.setDue(key, time.Now().Add(wait))
	e.queue.addAfter(key, wait)
	switch status.Code(refusal) {
	case codes.OutOfRange, codes.InvalidArgument, codes.NotFound:
		_, err = volumeutil.MarkNodeExpansionInfeasible(claim, e.client, refusal)
	default:
		_, err = volumeutil.MarkNodeExpansionFailedCondition(claim, e.client, refusal)
	}
	return err
}

// claim reads a claim; for a nudge from the API itself, as a kubelet does,
// because the pod's change may be seen before that of the claim it was made for.
func (e *nodeExpander) claim(ctx context.Context, key cache.ObjectName, live bool) (*corev1.PersistentVolumeClaim, error) {
	if live {
		return e.client.CoreV1().PersistentVolumeClaims(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	}
	return e.claims.PersistentVolumeClaims(key.Namespace).Get(key.Name)
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

// dueAt is when the claim is looked at without a nudge, counted from when it was
// first seen waiting for its node.
func (e *nodeExpander) dueAt(claim cache.ObjectName) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.due[claim]; !ok {
		e.due[claim] = time.Now().Add(e.delay)
	}
	return e.due[claim]
}

func (e *nodeExpander) setDue(claim cache.ObjectName, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.due[claim] = at
}

func (e *nodeExpander) forget(claim cache.ObjectName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.due, claim)
	e.failed.Forget(claim)
}

// pendingOnNode tells whether the controller's part is done and the node's is not.
func pendingOnNode(claim *corev1.PersistentVolumeClaim) bool {
	state := expansion(claim)
	return state == corev1.PersistentVolumeClaimNodeResizePending || state == corev1.PersistentVolumeClaimNodeResizeInProgress
}

// expansion is what the claim's status says of its growth.
func expansion(claim *corev1.PersistentVolumeClaim) corev1.ClaimResourceStatus {
	return claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]
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
