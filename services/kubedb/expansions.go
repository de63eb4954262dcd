// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// AnnotationExpansions is on a claim and says when the relay raised its storage request: RFC 3339 times, oldest first,
// with commas in between. It is written with the request itself, so that it is as true as the claim is: it outlives the
// operation requests, the broker and every process of the relay. A storage that takes only so many changes of a volume in
// a time is asked no oftener (see the plan's Limits).
const AnnotationExpansions = "opsrelay.dev/expansions"

// AnnotationExpandedFor is on a claim and is the uid of the operation request for which the relay last raised its storage
// request. By it, what the storage answered to an earlier one is told from what it answers to this.
const AnnotationExpandedFor = "opsrelay.dev/expanded-for"

// keptExpansions is how many times a claim carries. No storage is known to count further back.
const keptExpansions = 20

// Expansions are the times when the relay raised the claim's storage request, oldest first. What cannot be read as a
// time is left out.
func Expansions(claim *corev1.PersistentVolumeClaim) []time.Time {
	var times []time.Time
	for text := range strings.SplitSeq(claim.Annotations[AnnotationExpansions], ",") {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			times = append(times, at)
		}
	}
	return times
}

// WithExpansion is the value of AnnotationExpansions of a claim whose storage request is raised at that time.
func WithExpansion(claim *corev1.PersistentVolumeClaim, at time.Time) string {
	times := append(Expansions(claim), at)
	texts := make([]string, 0, keptExpansions)
	for _, at := range times[max(0, len(times)-keptExpansions):] {
		texts = append(texts, at.UTC().Format(time.RFC3339))
	}
	return strings.Join(texts, ",")
}
