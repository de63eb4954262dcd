// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/opsrelay/opsrelay/events"
)

// claimsOf lists the pod's claims, one of each claim template. A pod that the
// workload has no longer has none that count.
func (o *offline) claimsOf(pod string) []string {
	if !slices.Contains(o.set.PodNames(), pod) {
		return nil
	}
	var names []string
	for _, template := range o.set.ClaimTemplates {
		names = append(names, template.Name+"-"+pod)
	}
	return names
}

// needsOf is what the claims of a pod need of it.
func (o *offline) needsOf(pod string) needs {
	all := needs{}
	for _, name := range o.claimsOf(pod) {
		if claim := o.claims.get(o.namespace, name); claim != nil {
			stage := stageOf(claim, o.size)
			all[needOf(stage, o.over(claim, stage))] = true
		}
	}
	return all
}

// needsTurn reports whether a volume of the pod does not grow by itself while the pod
// runs: what has only its node's part before it does.
func (o *offline) needsTurn(pod string) bool {
	all := o.needsOf(pod)
	return all[needRelease] || all[needNodeFirst]
}

// grown reports whether the pod's volumes have the size, or will not have it, or
// it needs a turn for that still.
func (o *offline) grown(pod string) bool {
	return o.needsTurn(pod) || !slices.ContainsFunc(o.claimsOf(pod), func(name string) bool {
		claim := o.claims.get(o.namespace, name)
		if claim == nil {
			return false
		}
		stage := stageOf(claim, o.size)
		return stage.name != events.StateGrown && !o.over(claim, stage)
	})
}

// othersUp reports whether the pods that had their turn are up again, and with
// them the database, so that the next one may be taken down. With apply: Always a
// database that is down is no reason to wait, nor is a pod that was down before
// the request.
func (o *offline) othersUp(ctx context.Context, pod string) bool {
	always := o.event.Operation.Apply == events.ApplyAlways
	for _, name := range o.set.PodNames() {
		other := o.scene.pod(name)
		switch {
		case name == pod, ready(other) && o.grown(name), o.needsTurn(name) && always:
		case always && (other != nil && o.older(other) || other == nil && o.oldOneDown()):
		default:
			o.waitFor(ctx, wait{reason: events.StatePodsNotReady, message: "pod " + o.namespace + "/" + name + " is not ready yet, no other pod is taken down before"})
			return false
		}
	}
	if !always && !o.scene.databaseReady() {
		o.waitFor(ctx, wait{reason: events.StatePodsNotReady, message: fmt.Sprintf("Singlestore %s/%s is not Ready, no pod is taken down before", o.namespace, o.scene.database)})
		return false
	}
	return true
}

// oldOneDown reports whether a pod is down that was so before the request: a
// controller that starts pods in order waits for it.
func (o *offline) oldOneDown() bool {
	return slices.ContainsFunc(o.set.PodNames(), func(name string) bool {
		pod := o.scene.pod(name)
		return pod != nil && o.older(pod) && !ready(pod)
	})
}

// notRestarted lists the pods that are older than the request: their volumes had
// the size already, or grew without a restart.
func (o *offline) notRestarted() []string {
	var names []string
	for _, name := range o.set.PodNames() {
		if pod := o.scene.pod(name); pod != nil && o.older(pod) {
			names = append(names, name)
		}
	}
	return names
}

// older reports whether the pod is from before the request began. Pods know
// their birth to the second.
func (o *offline) older(pod *corev1.Pod) bool {
	history := o.event.Operation.History
	return len(history) > 0 && pod.CreationTimestamp.Time.Before(history[0].Time.Truncate(time.Second))
}
