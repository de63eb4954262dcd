// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"time"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Request is what a person asks about a request: where is it, and why does it
// wait. It is the element of `get -o json`.
type Request struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Database  string `json:"database"`
	// Phase is KubeDB's; empty until somebody has looked at the request.
	Phase string `json:"phase"`
	// Step is what is being done or what the request ended in: admit, pause,
	// expand, update, resume, done.
	Step string `json:"step"`
	// Waiting says what a request waits for, Failure why it failed.
	Waiting string `json:"waiting,omitempty"`
	Failure string `json:"failure,omitempty"`
	// Sizes are the requested ones by component.
	Sizes map[string]string `json:"sizes,omitempty"`
	Mode  string            `json:"mode,omitempty"`
	// Created is when it was created, Changed when its status last changed.
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
}

// view returns the request as people see it.
func view(r *kubedb.SinglestoreOpsRequest) Request {
	v := Request{
		Namespace: r.Namespace, Name: r.Name, UID: string(r.UID), Database: r.Spec.DatabaseRef.Name,
		Phase: string(r.Status.Phase), Step: string(kubedb.StepOf(r)), Created: r.CreationTimestamp.Time, Changed: r.CreationTimestamp.Time,
	}
	if expansion := r.Spec.VolumeExpansion; expansion != nil {
		v.Mode, v.Sizes = string(expansion.Mode), map[string]string{}
		for _, component := range []string{kubedb.ComponentNode, kubedb.ComponentAggregator, kubedb.ComponentLeaf} {
			if size := expansion.Size(component); size != nil {
				v.Sizes[component] = size.String()
			}
		}
	}
	for _, c := range r.Status.Conditions {
		if c.LastTransitionTime.After(v.Changed) {
			v.Changed = c.LastTransitionTime.Time
		}
	}
	if waiting := kubedb.FindCondition(r.Status.Conditions, kubedb.ConditionWaiting); waiting != nil {
		v.Waiting = waiting.Reason + ": " + waiting.Message
	}
	if failed := kubedb.FindCondition(r.Status.Conditions, kubedb.ConditionVolumeExpansion); failed != nil && kubedb.IsConditionFalse(r.Status.Conditions, failed.Type) {
		v.Failure = failed.Message
	}
	return v
}
