// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// FAILED_PRECONDITION is how a storage driver says, by the CSI specification, that it
// cannot expand a volume in use. Drivers say it for other reasons, too (a volume that
// has snapshots). The external-resizer takes the specification's word for it: it does
// not ask the driver again before no pod uses the volume.

// failedPrecondition is how gRPC writes the code, which the resizer repeats in the
// claim's condition.
const failedPrecondition = "code = FailedPrecondition "

// preconditionOf returns what the driver said when it last answered the claim's growth
// with FAILED_PRECONDITION. Each such answer is another condition.
func preconditionOf(claim *corev1.PersistentVolumeClaim) (refusal corev1.PersistentVolumeClaimCondition, ok bool) {
	for _, condition := range claim.Status.Conditions {
		if condition.Type == corev1.PersistentVolumeClaimControllerResizeError && strings.Contains(condition.Message, failedPrecondition) {
			return condition, true
		}
	}
	return refusal, false
}

// inUseWords are words by one of which drivers say that a volume is in use.
var inUseWords = []string{
	"in use", "in-use", "inuse", "used by", "being used", "attach", "detach", "mounted", "unmount", "published", "online", "offline", "running",
}

// saysInUse reports whether the driver's words are about a volume in use.
func saysInUse(words string) bool {
	words = strings.ToLower(words)
	return slices.ContainsFunc(inUseWords, func(word string) bool { return strings.Contains(words, word) })
}

// usedBy names a pod that uses the claim as the resizer counts it, other than the one
// of the name except; "" if there is none. One that has ended does not, one that is not
// scheduled yet does.
func usedBy[P ~[]*corev1.Pod](pods P, claim, except string) string {
	for _, pod := range pods {
		if pod.Name == except || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, volume := range pod.Spec.Volumes {
			if volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claim {
				return pod.Name
			}
		}
	}
	return ""
}

// refusedOnline returns the failure of an Online growth whose driver answers with
// FAILED_PRECONDITION: it is not asked again while a pod uses the volume, so waiting
// does not help. The user is told to do it Offline only where that is the reason.
func (g *growth) refusedOnline(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	refusal, refused := preconditionOf(claim)
	if !refused || g.event.Operation.Mode != events.Online {
		return nil
	}
	list, err := g.core.CoreV1().Pods(g.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the pods that use claim %s/%s: %w", g.namespace, claim.Name, err)
	}
	pods := make([]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = &list.Items[i]
	}
	failure := preconditionFailure(refusal.Message, usedBy(pods, claim.Name, ""))
	if failure == nil {
		return nil
	}
	failure.Object = "PersistentVolumeClaim " + g.namespace + "/" + claim.Name
	return bus.Permanent(*failure)
}

// preconditionFailure is what FAILED_PRECONDITION means for an Online growth of a claim
// that the pod uses, if one does; nil if the driver is going to be asked again.
func preconditionFailure(words, user string) *events.Failure {
	switch inUse := saysInUse(words); {
	case inUse && user != "":
		return &events.Failure{
			Step: "expand", Reason: ReasonOfflineOnly,
			Message: "the storage driver expands volumes only while they are not in use: create a request with mode: Offline; it says: " + words,
		}
	case inUse:
		return nil // the pod is down: that is when such a driver expands
	case user != "":
		return &events.Failure{
			Step: "expand", Reason: ReasonDriverRefused,
			Message: "the storage driver refuses to expand the volume; when its reason is gone, it is asked again only after pod " + user +
				" has released the volume, because the external-resizer takes this for a volume in use; the driver says: " + words,
		}
	default:
		return &events.Failure{Step: "expand", Reason: ReasonDriverRefused, Message: "the storage driver refuses to expand the volume; it says: " + words}
	}
}

// staleAnswers is how often a driver may take a released volume for one in use: it may
// learn late that the volume was unstaged. The resizer asks it after 1 s, and each time
// after twice as long.
const staleAnswers = 4

// answers counts what the driver says of a claim's volume while nothing uses it.
type answers struct {
	last  corev1.PersistentVolumeClaimCondition
	begun bool
	count int
}

// hear returns the driver's words once they refuse a released volume for good: for
// another reason than that it is in use, or again and again. What it had said before the
// volume was released is no answer.
func (a *answers) hear(claim *corev1.PersistentVolumeClaim) (words string, final bool) {
	refusal, refused := preconditionOf(claim)
	heard := a.last
	a.last = refusal
	if !a.begun {
		a.begun = true
		return "", false
	}
	if !refused || refusal.Message == heard.Message && refusal.LastTransitionTime.Equal(&heard.LastTransitionTime) {
		return "", false
	}
	a.count++
	return refusal.Message, !saysInUse(refusal.Message) || a.count >= staleAnswers
}
