// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/events"
)

// The stages that need something from us, in Kubernetes' words (KEP-1790). All
// others are shown and waited for.
const (
	stageNodePending          = string(corev1.PersistentVolumeClaimNodeResizePending)
	stageNodeInProgress       = string(corev1.PersistentVolumeClaimNodeResizeInProgress)
	stageInfeasibleController = string(corev1.PersistentVolumeClaimControllerResizeInfeasible)
	stageInfeasibleNode       = string(corev1.PersistentVolumeClaimNodeResizeInfeasible)
)

// stage is how far the growth of one claim has come.
type stage struct {
	// name is events.StateRequested, events.StateGrown or what Kubernetes calls
	// it.
	name string
	// message is what Kubernetes or the storage driver says about it, if
	// anything.
	message string
	// first is set while an earlier growth to less is under way, and is its size:
	// Kubernetes finishes that before it begins this one.
	first string
}

func (s stage) String() string {
	if s.message == "" {
		return s.name
	}
	return s.name + ": " + s.message
}

// stageOf judges a claim by its status. That the storage could not give less is not
// taken for an answer to ours.
func stageOf(claim *corev1.PersistentVolumeClaim, size resource.Quantity) stage {
	if claim.Status.Capacity.Storage().Cmp(size) >= 0 {
		return stage{name: events.StateGrown}
	}
	if claim.Status.Phase != corev1.ClaimBound {
		return stage{name: events.StateRequested, message: fmt.Sprintf("the claim is %s", claim.Status.Phase)}
	}
	status, first := growthOf(claim), ""
	if allocated := claim.Status.AllocatedResources.Storage(); allocated.Cmp(size) < 0 {
		first = allocated.String()
	}
	switch {
	case status == "" && waitsForNode(claim, size):
		// Before Kubernetes 1.34, or behind a resizer of before KEP-1790, conditions
		// are all there is.
		return stage{name: stageNodePending, message: message(claim)}
	case status == "", status == corev1.PersistentVolumeClaimControllerResizeInfeasible && first != "":
		return stage{name: events.StateRequested, message: message(claim)}
	case status == corev1.PersistentVolumeClaimNodeResizePending && refusedByNode(claim):
		status = corev1.PersistentVolumeClaimNodeResizeInfeasible
	}
	s := stage{name: string(status), message: message(claim), first: first}
	if first != "" {
		s.message = strings.TrimSuffix("an earlier growth to "+first+" has to end first: "+s.message, ": ")
	}
	return s
}

// need is what a claim needs of its pod, so that its growth goes on.
type need int

const (
	// needNothing: it has grown, or will not.
	needNothing need = iota
	// needNode: only its node's part is left, which is done when a pod runs.
	needNode
	// needNodeFirst: its node has to finish an earlier growth to less, which is done
	// when a pod runs, before the storage begins this one.
	needNodeFirst
	// needRelease: the storage's part is to be done, and Offline that is done while
	// nothing uses the volume.
	needRelease
)

// needOf is what a claim in that stage needs. It is over if nothing is left to do for
// it though it has not grown.
func needOf(s stage, over bool) need {
	switch {
	case over, s.name == events.StateGrown:
		return needNothing
	case s.name != stageNodePending && s.name != stageNodeInProgress && s.name != stageInfeasibleNode:
		return needRelease
	case s.first != "":
		return needNodeFirst
	default:
		return needNode
	}
}

// refusedByNode reports whether the node said that it can never grow the file
// system. The resizer soon hands such a volume back to its node, so that the
// status alone says so for a moment only; the condition stays until it has grown.
func refusedByNode(claim *corev1.PersistentVolumeClaim) bool {
	for _, condition := range claim.Status.Conditions {
		if condition.Type == corev1.PersistentVolumeClaimNodeResizeError && condition.Status == corev1.ConditionTrue {
			return slices.ContainsFunc(infeasibleCodes, func(code string) bool { return strings.Contains(condition.Message, code) })
		}
	}
	return false
}

// infeasibleCodes are the gRPC codes, as gRPC writes them, by which Kubernetes
// knows a growth that can never go well.
var infeasibleCodes = []string{"code = OutOfRange ", "code = InvalidArgument ", "code = NotFound "}

// growthOf is what the claim's status says of a growth, to whatever size; empty
// where it says nothing.
func growthOf(claim *corev1.PersistentVolumeClaim) corev1.ClaimResourceStatus {
	return claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]
}

// waitsForNode reports whether a claim that was asked for the size waits for its
// file system to grow, by its condition. That it is Resizing, too, changes nothing.
func waitsForNode(claim *corev1.PersistentVolumeClaim, size resource.Quantity) bool {
	if claim.Spec.Resources.Requests.Storage().Cmp(size) < 0 {
		return false
	}
	for _, condition := range claim.Status.Conditions {
		if condition.Type == corev1.PersistentVolumeClaimFileSystemResizePending && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// message is what the claim's conditions say: the error first, if there is one,
// which is the driver's own words.
func message(claim *corev1.PersistentVolumeClaim) string {
	text := ""
	for _, condition := range claim.Status.Conditions {
		switch condition.Type {
		case corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError:
			return condition.Message
		default:
			if text == "" {
				text = condition.Message
			}
		}
	}
	return text
}
