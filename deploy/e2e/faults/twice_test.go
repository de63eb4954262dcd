// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opsrelay/opsrelay/deploy/invariant"
)

// volatile is what differs between two writes of the same.
var volatile = regexp.MustCompile(`"(resourceVersion|lastTransitionTime|opsrelay\.dev/expansions)":"(\\.|[^"\\])*"|\{"op":"replace","path":"/metadata/resourceVersion","value":"\d+"\}`)

// pausedBy is how a pause names its request.
var pausedBy = regexp.MustCompile(`Paused by [^"]+`)

// twice lists what a service of the relay did again in the namespace: a write
// that says the same of the same object as an earlier one of its.
func twice(writes, uncertain []invariant.Write, namespace string) []string {
	var lines []string
	seen := map[string]bool{}
	last := map[string]string{}
	statuses := map[string][]invariant.Write{}
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
			statuses[object] = append(statuses[object], write)
			continue
		}
		if repeated {
			lines = append(lines, "done twice: "+key)
		}
		seen[key], last[object] = true, key
	}
	for object, writes := range statuses {
		between := slices.DeleteFunc(slices.Clone(uncertain), func(write invariant.Write) bool {
			return write.Namespace != namespace || write.Service+" "+write.Verb+" "+write.Resource+" "+write.Name != object
		})
		lines = append(lines, twiceInARow(object, writes, between)...)
	}
	return lines
}

// twiceInARow lists the statuses of an object that were written when they were there
// already. What a request waits for comes and goes, and comes again: then its status
// is what it was before, which is not twice; what came in between may be uncertain, for
// its writer was killed. The order is that of the versions which they were written
// against, for the audit log may have it otherwise.
func twiceInARow(object string, writes, between []invariant.Write) []string {
	version := func(write invariant.Write) int {
		var patch struct {
			Metadata struct {
				ResourceVersion int `json:",string"`
			}
		}
		_ = json.NewDecoder(strings.NewReader(write.Body)).Decode(&patch) // without a version they are as they come
		return patch.Metadata.ResourceVersion
	}
	for _, write := range between {
		write.Body += " (uncertain)"
		writes = append(writes, write)
	}
	slices.SortStableFunc(writes, func(a, b invariant.Write) int { return cmp.Compare(version(a), version(b)) })
	var lines []string
	for i, write := range writes[1:] {
		before := writes[i]
		if strings.HasSuffix(write.Body, "(uncertain)") {
			continue
		}
		if volatile.ReplaceAllString(before.Body, "") == volatile.ReplaceAllString(write.Body, "") {
			lines = append(lines, fmt.Sprintf("done twice: %s: at %s %s, at %s %s", object,
				before.Time.Format(time.StampMilli), before.Body, write.Time.Format(time.StampMilli), write.Body))
		}
	}
	return lines
}
