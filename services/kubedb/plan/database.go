// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// notReady says that the request waits until its database is Ready.
func notReady(db *kubedb.Singlestore, request *kubedb.SinglestoreOpsRequest) []Finding {
	phase := db.Status.Phase
	if phase == kubedb.DatabaseReady || request.Spec.Apply == kubedb.ApplyAlways || request.Status.Phase == kubedb.OpsProgressing {
		return nil
	}
	if phase == "" {
		phase = kubedb.DatabaseUnknown
	}
	return []Finding{waiting(StepAdmit, ReasonDatabaseNotReady,
		"Singlestore %s/%s is %s, not Ready; spec.apply: Always would not wait", db.Namespace, db.Name, phase)}
}

// paused says that somebody else holds the database paused.
func paused(db *kubedb.Singlestore, request *kubedb.SinglestoreOpsRequest) []Finding {
	if finding := PausedBySomebodyElse(db, request); finding != nil {
		return []Finding{*finding}
	}
	return nil
}

// PausedBySomebodyElse says that somebody else holds the database of the request
// paused; nil if nobody does.
func PausedBySomebodyElse(db *kubedb.Singlestore, request *kubedb.SinglestoreOpsRequest) *Finding {
	owner, paused := kubedb.PausedBy(db)
	if !paused || owner.UID != "" && owner.UID == request.UID {
		return nil
	}
	pause := kubedb.FindCondition(db.Status.Conditions, kubedb.ConditionPaused)
	finding := waiting(StepPause, ReasonPausedBySomebodyElse,
		"Singlestore %s/%s is paused by somebody else, whose pause must end first: %s", db.Namespace, db.Name, pause.Message)
	return &finding
}

// restarts lists the pods that are restarted, in their order: one component after
// the other, each from its highest ordinal down. A pod whose volumes are large
// enough already stays.
func restarts(mode kubedb.VolumeExpansionMode, components []Component) []string {
	pods := []string{}
	if mode != kubedb.ModeOffline {
		return pods
	}
	for _, component := range components {
		for _, ordinal := range component.growing() {
			if pod := kubedb.PodName(component.Workload, ordinal); !slices.Contains(pods, pod) {
				pods = append(pods, pod)
			}
		}
	}
	return pods
}

// growing lists the ordinals of the pods whose volumes grow, the highest first.
func (c Component) growing() []int {
	var ordinals []int
	for _, volume := range c.Volumes {
		if volume.Grows && !slices.Contains(ordinals, volume.ordinal) {
			ordinals = append(ordinals, volume.ordinal)
		}
	}
	slices.Sort(ordinals)
	slices.Reverse(ordinals)
	return ordinals
}
