// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// refusedInUse is how gRPC writes the code FAILED_PRECONDITION, which the resizer
// repeats in the claim's condition.
const refusedInUse = "code = FailedPrecondition "

// offlineOnly returns the failure of an Online growth whose driver refuses
// because the volume is in use. In the CSI specification that is what
// FAILED_PRECONDITION means as the answer to an expansion, and nothing else; the
// resizer does not ask again before the pod is gone, so waiting does not help.
func (g *growth) offlineOnly(claim *corev1.PersistentVolumeClaim) error {
	if g.event.Operation.Mode != events.Online {
		return nil
	}
	for _, condition := range claim.Status.Conditions {
		if condition.Type == corev1.PersistentVolumeClaimControllerResizeError &&
			strings.Contains(condition.Message, refusedInUse) {
			return bus.Permanent(events.Failure{
				Step: "expand", Object: "PersistentVolumeClaim " + g.namespace + "/" + claim.Name, Reason: ReasonOfflineOnly,
				Message: "the storage driver expands volumes only while they are not in use: create a request with mode: Offline; it says: " + condition.Message,
			})
		}
	}
	return nil
}
