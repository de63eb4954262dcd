// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"fmt"
	"strings"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// AnnotationLeftoverClaims on a request, with the value "grow", has the claims of
// pods that scaling in has removed asked to grow, too.
const AnnotationLeftoverClaims = "opsrelay.dev/leftover-claims"

// Conditions of our own, of what a person should know of a request that went as
// it should.
const (
	// conditionNotRestarted says which pods an Offline request had no need to
	// restart.
	conditionNotRestarted = "PodsNotRestarted"
	// conditionMissing says which claims there should be and are not.
	conditionMissing = "ClaimsMissing"
	// conditionLeftover says which claims scaling in has left.
	conditionLeftover = "ClaimsLeftOver"
)

// reported is how many objects a condition names: the status must stay small.
const reported = 20

// reports are those conditions, made by done.
func reports(op events.Operation, done func(conditionType, message string) kubedb.Condition) []kubedb.Condition {
	var kept, missing, leftover []string
	for _, component := range op.Components {
		kept = append(kept, component.NotRestarted...)
		missing = append(missing, component.Missing...)
		for _, volume := range component.Leftover {
			leftover = append(leftover, volume.Claim+" ("+volume.Capacity+")")
		}
	}
	fate := "claims of pods that there are no longer keep their size; a request annotated with " + AnnotationLeftoverClaims + ": grow asks them to grow"
	if op.Leftovers == events.GrowLeftovers {
		fate = "claims of pods that there are no longer were asked to grow and not waited for"
	}
	var list []kubedb.Condition
	for _, report := range []struct {
		condition, message string
		names              []string
	}{
		{conditionNotRestarted, "not restarted, since their volumes had the size already", kept},
		{conditionMissing, "claims that do not exist; those that are made later have the new size", missing},
		{conditionLeftover, fate, leftover},
	} {
		if len(report.names) > 0 {
			list = append(list, done(report.condition, report.message+": "+listed(report.names)))
		}
	}
	return list
}

// listed lists the first of the names, and how many there are besides.
func listed(names []string) string {
	if more := len(names) - reported; more > 0 {
		return strings.Join(names[:reported], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
