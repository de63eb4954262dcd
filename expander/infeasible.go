// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/safely"
)

// A storage that cannot give a size says so in the claim's status (KEP-1790), and
// the claim is stuck until its request is another one. By default the request
// fails then. One that recovers takes the claim's request back, as far as the API
// allows, and goes on with the others; what came of it follows from the claims.

// refuses reports whether the claim's storage cannot give the size to this
// request.
func (g *growth) refuses(claim *corev1.PersistentVolumeClaim, stage stage) bool {
	switch stage.name {
	case stageInfeasibleNode:
		// The node tries again by itself: what it answered an earlier request counts as
		// little as what it answers before this one began.
		return g.claims.refusalsByNode(claim) > g.of(claim).nodeRefusals
	case stageInfeasibleController:
		return g.ours(claim) || g.takenBack(claim)
	default:
		return g.takenBack(claim)
	}
}

// ours reports whether what the storage says is about what the claim asks for
// now, on behalf of this request. It may have more room than when an earlier one
// asked.
func (g *growth) ours(claim *corev1.PersistentVolumeClaim) bool {
	asked := claim.Spec.Resources.Requests.Storage()
	return g.asked(claim) && asked.Cmp(g.size) == 0 && asked.Cmp(*claim.Status.AllocatedResources.Storage()) == 0
}

// asked reports whether this request was the last to raise the claim's.
func (g *growth) asked(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Annotations[kubedb.AnnotationExpandedFor] == g.event.Operation.Request.UID
}

// takenBack reports whether the claim was asked for the size and is not any more.
func (g *growth) takenBack(claim *corev1.PersistentVolumeClaim) bool {
	return g.recovers() && g.asked(claim) && claim.Spec.Resources.Requests.Storage().Cmp(g.size) < 0
}

func (g *growth) recovers() bool { return g.event.Operation.Infeasible == events.InfeasibleRecover }

// over reports whether a request that recovers is done with a claim that has not
// grown: it is not stuck, or nothing that the request may do helps it. A volume
// that its node refuses has grown in the storage, which no claim takes back.
func (g *growth) over(claim *corev1.PersistentVolumeClaim, stage stage) bool {
	asked := claim.Spec.Resources.Requests.Storage()
	switch {
	case !g.recovers() || !g.refuses(claim, stage):
		return false
	case stage.name == stageInfeasibleNode, asked.Cmp(*claim.Status.Capacity.Storage()) <= 0, asked.Cmp(*smallest(claim)) == 0 && stuck(claim, *asked):
		return true
	default:
		return smallest(claim).Cmp(g.size) >= 0
	}
}

// stuck reports whether the storage cannot give the claim that size either.
func stuck(claim *corev1.PersistentVolumeClaim, size resource.Quantity) bool {
	return growthOf(claim) == corev1.PersistentVolumeClaimControllerResizeInfeasible &&
		claim.Status.AllocatedResources.Storage().Cmp(size) == 0
}

// smallest is the least that the API lets a claim ask for: more than it has.
func smallest(claim *corev1.PersistentVolumeClaim) *resource.Quantity {
	return resource.NewQuantity(claim.Status.Capacity.Storage().Value()+1, resource.BinarySI)
}

// giveUp ends the growing of a claim whose storage cannot give the size: for the
// whole request, or, if it recovers, for this claim. done says that nothing is
// left to do for it.
func (g *growth) giveUp(ctx context.Context, group *safely.Group, claim *corev1.PersistentVolumeClaim, stage stage) (done bool, _ error) {
	if failure := g.refusal(claim, stage); !g.recovers() {
		return false, bus.Permanent(failure)
	} else if _, told := g.refused[claim.Name]; !told {
		g.refused[claim.Name] = failure
	}
	if g.over(claim, stage) {
		g.leave(claim.Name)
		return true, nil
	}
	switch {
	case g.ours(claim):
		g.begin(ctx, group, claim, g.lower(*smallest(claim)))
	case g.nudges(claim, stage):
		g.begin(ctx, group, claim, g.nudge) // it was taken back, and its node has a part in that
	}
	return false, nil
}

// refusal is the failure of a claim, in the driver's words where they are there
// still.
func (g *growth) refusal(claim *corev1.PersistentVolumeClaim, stage stage) events.Failure {
	failure := events.Failure{
		Step: "expand", Object: "PersistentVolumeClaim " + g.namespace + "/" + claim.Name, Reason: stage.name, Message: stage.message,
	}
	if stage.name != stageInfeasibleController && stage.name != stageInfeasibleNode {
		failure.Reason, failure.Message = stageInfeasibleController, ""
	}
	if failure.Message == "" {
		failure.Message = "the storage cannot give " + g.component.To + ": the claim's events have the driver's words"
	}
	return failure
}

// askAnew has the storage asked once more that refused an earlier request. What it
// was asked for counts: as long as that stays the same, it is not asked again for
// minutes. A claim that asks for just this size asks for a byte less in between,
// which no volume is made smaller by.
func (g *growth) askAnew(claim *corev1.PersistentVolumeClaim) act {
	asked := claim.Spec.Resources.Requests.Storage()
	less := resource.NewQuantity(g.size.Value()-1, resource.BinarySI)
	switch {
	case asked.Cmp(g.size) > 0, asked.Cmp(g.size) == 0 && less.Cmp(*smallest(claim)) < 0:
		return g.request
	case asked.Cmp(g.size) == 0 && asked.Cmp(*claim.Status.AllocatedResources.Storage()) == 0:
		return g.lower(*less)
	default:
		return nil // it is asked already
	}
}

// shared is the size that all volumes of each claim template have at least, of a
// growth that was not complete. The byte that taking back a request costs is not
// worth a size of its own.
func (g *growth) shared(templates []corev1.PersistentVolumeClaim) []events.Shared {
	if len(g.refused) == 0 {
		return nil
	}
	var list []events.Shared
	for _, template := range templates {
		least := g.size
		for _, name := range g.names {
			claim := g.claims.get(g.namespace, name)
			if pod, _ := podOf(name, g.component.Workload); claim == nil || name != template.Name+"-"+pod {
				continue
			}
			size := claim.Status.Capacity.Storage().DeepCopy()
			if g.takenBack(claim) && size.Cmp(*claim.Spec.Resources.Requests.Storage()) == 0 {
				size = *resource.NewQuantity(size.Value()-1, resource.BinarySI)
			}
			if size.Cmp(least) < 0 {
				least = size
			}
		}
		list = append(list, events.Shared{Template: template.Name, Size: least.String()})
	}
	return list
}
