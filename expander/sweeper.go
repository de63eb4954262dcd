// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/control"
)

// grace is how long after its request's deadline, or, where the broker knows
// nothing of the request, after it was seen, a hold may stay: whoever made it
// comes first.
const grace = time.Minute

// Sweeper releases the pods that are held for a request which is past its growing.
// The step does so itself; this is for when nobody asks it any more, because the
// broker gave the event up or lost it.
type Sweeper struct {
	expander *Expander
	last     func(context.Context, events.ChainKey) (events.Event, error)
	loop     *control.Loop
	pods     cache.SharedIndexInformer
	grace    time.Duration
}

// NewSweeper returns a sweeper of the pods that are held in a namespace, or in all
// if it is empty. last reads the end of a chain.
func NewSweeper(x *Expander, namespace string, last func(context.Context, events.ChainKey) (events.Event, error)) (*Sweeper, error) {
	k := &Sweeper{expander: x, last: last, grace: grace}
	k.pods = kubedb.NewInformer(x.core.CoreV1().Pods(namespace), &corev1.Pod{}, func(options *metav1.ListOptions) { options.LabelSelector = Hold })
	k.loop = control.New("holds", 1, k.sync)
	return k, k.loop.Watch(k.pods, func(object any) []types.NamespacedName {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return nil
		}
		return []types.NamespacedName{{Namespace: pod.Namespace, Name: pod.Name}}
	})
}

// Run keeps until the context ends.
func (k *Sweeper) Run(ctx context.Context) error { return k.loop.Run(ctx) }

// sync releases a pod whose request cannot need it any more, or comes back when
// that can be said.
func (k *Sweeper) sync(ctx context.Context, key types.NamespacedName) error {
	object, exists, err := k.pods.GetStore().GetByKey(key.String())
	if err != nil || !exists {
		return err
	}
	pod := object.(*corev1.Pod)
	until, err := k.neededUntil(ctx, pod)
	if err != nil {
		return err
	}
	if wait := time.Until(until); wait > 0 {
		k.loop.AddAfter(key, wait)
		return nil
	}
	zerolog.Ctx(ctx).Warn().Stringer("pod", key).Str("request", pod.Annotations[Hold]).Msg("pod is held for a request that does not need it any more, releasing it")
	return k.expander.release(ctx, pod)
}

// neededUntil is when the pod's hold is nobody's any more at the latest.
func (k *Sweeper) neededUntil(ctx context.Context, pod *corev1.Pod) (time.Time, error) {
	last, err := k.last(ctx, chainOf(pod))
	switch {
	case errors.Is(err, bus.ErrNoChain):
		since := pod.CreationTimestamp.Time
		if pod.DeletionTimestamp != nil {
			since = pod.DeletionTimestamp.Time
		}
		return since.Add(5 * k.grace), nil // the watcher begins a lost chain again
	case err != nil:
		return time.Time{}, err
	case last.Fact == events.Requested, last.Fact == events.Paused:
		return last.Operation.Deadline.Add(k.grace), nil
	default:
		return last.Time.Add(k.grace), nil // the step itself comes first
	}
}

// chainOf is the chain of the request that holds the pod.
func chainOf(pod *corev1.Pod) events.ChainKey {
	kind, _, _ := strings.Cut(pod.Annotations[Hold], " ")
	return events.ChainKey{Kind: strings.ToLower(strings.TrimSuffix(kind, "OpsRequest")), Namespace: pod.Namespace, UID: pod.Labels[Hold]}
}
