// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// restart is the floor of a shape that grows Offline: nobody can grow those volumes
// without restarting their pods, one of a database after the other. No volume
// grows; databases restart side by side.
func (b *bench) restart(ctx context.Context, race *race) (*round, error) {
	turns := newTurns(b)
	stop := b.view.onPod(turns.see)
	defer stop()
	err := each(ctx, b.names(), func(ctx context.Context, name string) error {
		race.begin(name)
		for _, pod := range slices.Backward(b.pods[name]) {
			if err := turns.take(ctx, pod); err != nil {
				return fmt.Errorf("restart pod %s: %w", pod, err)
			}
		}
		race.end(name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &round{}, race.wait(ctx, fmt.Sprintf("N=%d: floor", b.n))
}

// turns restarts pods, and is told what became of them.
type turns struct {
	*bench
	mu    sync.Mutex
	old   map[string]types.UID     // the pod that goes, by name
	ready map[string]chan struct{} // closed when another is Ready
}

func newTurns(b *bench) *turns {
	return &turns{bench: b, old: map[string]types.UID{}, ready: map[string]chan struct{}{}}
}

// take deletes the pod and returns when its successor is Ready.
func (t *turns) take(ctx context.Context, name string) error {
	pods := t.stack.Clients.Core.CoreV1().Pods(namespace)
	pod, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	t.mu.Lock()
	t.old[name], t.ready[name] = pod.UID, ready
	t.mu.Unlock()
	if err := pods.Delete(ctx, name, *metav1.NewPreconditionDeleteOptions(string(pod.UID))); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *turns) see(pod *corev1.Pod) {
	if !isReady(pod) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ready, waited := t.ready[pod.Name]; waited && pod.UID != t.old[pod.Name] {
		close(ready)
		delete(t.ready, pod.Name)
	}
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
