// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"regexp"
	"strings"

	"github.com/opsrelay/opsrelay/deploy/invariant"
)

// volatile is what differs between two writes of the same.
var volatile = regexp.MustCompile(`"(resourceVersion|lastTransitionTime|opsrelay\.dev/expansions)":"(\\.|[^"\\])*"|\{"op":"replace","path":"/metadata/resourceVersion","value":"\d+"\}`)

// pausedBy is how a pause names its request.
var pausedBy = regexp.MustCompile(`Paused by [^"]+`)

// twice lists what a service of the relay did again in the namespace: a write
// that says the same of the same object as an earlier one of its.
func twice(writes []invariant.Write, namespace string) []string {
	var lines []string
	seen := map[string]bool{}
	last := map[string]string{}
	for _, write := range writes {
		if write.Namespace != namespace || write.Service == "provisioner" || write.Service == "petset" {
			continue
		}
		if write.Resource == "pods/eviction" {
			continue // of a pod that is on its way out it changes nothing; invariant I1 counts
		}
		object := write.Service + " " + write.Verb + " " + write.Resource + " " + write.Name
		key := object + " " + volatile.ReplaceAllString(write.Body, "")
		if write.Service == "pauser" && strings.Contains(write.Body, `"op":"remove"`) {
			key = object + " resumed, was " + pausedBy.FindString(write.Body) // wherever the condition was
		}
		// Each StatefulSet that is recreated has an uid of its own, and so does each
		// intent, which the deletion names. A claim is taken from one after the other.
		if write.Resource == "persistentvolumeclaims" && strings.Contains(write.Body, "ownerReferences") {
			key = object + " " + write.Body
		}
		repeated := seen[key]
		switch {
		case write.Resource == "pods" && last[object] == key:
			repeated = false // the API server finds nothing to change
		case write.Resource == "singlestoreopsrequests/status":
			// What a request waits for comes and goes, and comes again: then its
			// status is what it was before.
			repeated = last[object] == key
		}
		if repeated {
			lines = append(lines, "done twice: "+key)
		}
		seen[key], last[object] = true, key
	}
	return lines
}
