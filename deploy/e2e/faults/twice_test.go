// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/updater"
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
	intents, last := map[string]int{}, map[string]string{}
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
		// Every removal of an intent looks the same: there is one after each intent.
		if write.Service == "updater" && write.Resource == "singlestores" {
			if strings.Contains(write.Body, updater.Intent+`":null`) {
				key = fmt.Sprintf("%s removed intent %d", object, intents[object])
			} else if strings.Contains(write.Body, updater.Intent) {
				intents[object]++
			}
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
