// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// An Offline run grows volumes that must not be in use. One pod at a time is held
// by our finalizer and evicted; when it is dead and its volumes are released,
// they grow; then the hold is taken off, and the workload's controller makes the
// successor from the template, which nobody touched. See decide for when a pod is held.
//
// Nothing is remembered. What comes next follows from the pods, their holds and
// the claims, so that after a crash any expander goes on where the last one
// stopped, and every pod is restarted once.

// offline is the growing of one component's volumes, pod by pod.
type offline struct {
	*growth
	scene *scene
	// scaled gets a value when the workload may have other pods than set has.
	scaled <-chan struct{}
	// waiting is what is waited for now, for the failure should time run out, and wake
	// gets a value when that may be something else.
	waiting wait
	wake    <-chan time.Time
	// heard is what the storage driver has said of each claim whose volume is released.
	heard map[string]*answers
	// refusedAt is the number of changes of disruption budgets when one last
	// refused an eviction, -1 if none did; blocked is what it said.
	refusedAt int64
	blocked   wait
	// hindered is what the API server has against the larger claim until somebody helps.
	hindered wait
}

// growOffline grows the components one after the other, in their order:
// aggregators before leaves. After a crash the one comes first of which a pod is
// held: the database is not Ready without that pod, and the others wait for it.
func (x *Expander) growOffline(ctx context.Context, e events.Event, components []events.Component) (refused map[string]events.Failure, err error) {
	refused = map[string]events.Failure{}
	held, err := x.core.CoreV1().Pods(e.Operation.Database.Namespace).List(ctx, metav1.ListOptions{LabelSelector: Hold + "=" + e.Operation.Request.UID})
	if err != nil {
		return nil, fmt.Errorf("list the pods that request %s holds: %w", e.Operation.Request.Name, err)
	}
	order := make([]int, len(components))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(ofWorkload(held.Items, components[b].Workload), ofWorkload(held.Items, components[a].Workload))
	})
	for _, i := range order {
		size, err := resource.ParseQuantity(components[i].To)
		if err != nil {
			return nil, fmt.Errorf("size of %s: %w", components[i].Name, err)
		}
		run := &offline{growth: newGrowth(x, e, components[i], size), heard: map[string]*answers{}, refusedAt: -1}
		err = x.unlessHindered(ctx, e, run.run(ctx))
		if run.set != nil {
			run.names = run.set.ClaimNames()
		}
		components[i].Volumes = run.volumes()
		if err != nil {
			return refused, err
		}
		components[i].NotRestarted = run.notRestarted()
		if err := run.report(ctx, &components[i]); err != nil {
			return refused, err
		}
		maps.Copy(refused, run.refused)
	}
	return refused, nil
}

// unlessHindered releases the pods of a request that waits for somebody's help: until
// it comes, holding them does not help.
func (x *Expander) unlessHindered(ctx context.Context, e events.Event, err error) error {
	var hindrance *bus.Hindrance
	if !errors.As(err, &hindrance) {
		return err
	}
	return errors.Join(err, x.releaseAll(ctx, e.Operation.Database.Namespace, e.Operation.Request.UID))
}

// ofWorkload counts the workload's pods, which are named <workload>-<ordinal>.
func ofWorkload(pods []corev1.Pod, workload string) int {
	count := 0
	for _, pod := range pods {
		if at := strings.LastIndex(pod.Name, "-"); at >= 0 && pod.Name[:at] == workload {
			count++
		}
	}
	return count
}

// run gives every pod its turn, until there is none left that needs one and all is
// up again.
func (o *offline) run(ctx context.Context) error {
	var stop func()
	o.scaled, stop = o.workloads.subscribe(o.namespace, o.component.Workload)
	defer stop()
	if err := o.readWorkload(ctx); err != nil {
		return err
	}
	scene, leave, err := o.openScene(ctx, o.event.Operation, o.set)
	if err != nil {
		return o.late(ctx, err)
	}
	defer leave()
	o.scene = scene
	for {
		pod, pods := o.next(), o.set.PodNames()
		look := o.end
		if pod != "" {
			if err := o.namespaceStays(ctx); err != nil {
				return err
			}
			look = func(ctx context.Context) (bool, error) { return o.look(ctx, pod) }
		}
		done, err := o.until(ctx, look)
		if err != nil {
			return o.late(ctx, err)
		}
		// The workload may have been scaled meanwhile: what is true now counts.
		if err := o.readWorkload(ctx); err != nil {
			return err
		}
		if done && pod == "" && slices.Equal(pods, o.set.PodNames()) {
			return nil
		}
	}
}

// next names the pod whose turn it is: one that is held already, also one that the
// workload has no longer; else one that is down anyway, else the one with the
// highest ordinal. The aggregator with ordinal 0, which leads the cluster, so
// comes last of its kind.
func (o *offline) next() string {
	if held := o.scene.held(); held != "" {
		return held
	}
	best, bestRank := "", 0
	for _, name := range slices.Backward(o.set.PodNames()) {
		pod, rank := o.scene.pod(name), 1
		switch {
		case !o.needsTurn(name):
			continue
		case !ready(pod):
			rank = 2
		}
		if rank > bestRank {
			best, bestRank = name, rank
		}
	}
	return best
}

// end reports whether all volumes have grown and the component is up again.
func (o *offline) end(ctx context.Context) (done bool, err error) {
	o.waitFor(ctx, wait{})
	o.names = o.set.ClaimNames()
	if done, err = o.growth.look(ctx); err != nil || !done {
		return false, err
	}
	return o.othersUp(ctx, ""), nil
}

// until calls look at each change, and returns true when that says that it is
// done, false when the workload may have been scaled.
func (o *offline) until(ctx context.Context, look func(context.Context) (bool, error)) (done bool, err error) {
	changed, stop := o.claims.subscribe(o.namespace, o.set.ClaimNames()...)
	defer stop()
	for {
		if done, err = look(ctx); done || err != nil {
			return done, err
		}
		select {
		case <-changed:
		case <-o.scene.changed:
		case <-o.scaled:
			return false, nil
		case <-o.wake:
		case <-o.patience:
			o.patienceOver = true
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// waitFor remembers what is waited for now, and tells it as the progress of the
// claims whose turn it is. The zero wait is for nothing, or for what the claims' own
// stages say.
func (o *offline) waitFor(ctx context.Context, w wait) {
	o.waiting, o.wake = w, nil
	if w.reason == "" {
		return
	}
	if !w.until.IsZero() {
		o.wake = time.After(time.Until(w.until))
	}
	for _, name := range o.names {
		claim := o.claims.get(o.namespace, name)
		if claim != nil && stageOf(claim, o.size).name != events.StateGrown {
			o.tell(ctx, claim, stage{name: w.reason, message: w.message})
		}
	}
}

// late makes a deadline that passed a failure which says what was waited for.
func (o *offline) late(ctx context.Context, err error) error {
	err = o.atDeadline(ctx, err)
	if err == nil || o.waiting.reason == "" || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	var failure *events.Failure
	if errors.As(err, &failure) {
		return err
	}
	return bus.Permanent(events.Failure{
		Step: "expand", Object: o.set.String(), Reason: o.waiting.reason,
		Message: fmt.Sprintf("not every volume had grown within %s: %s", o.event.Operation.StepTimeout.Duration(), o.waiting.message),
	})
}
