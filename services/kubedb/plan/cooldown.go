// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// checkCoolDown looks whether every volume may be expanded once more by now. When
// it was is written on its claim, so that nothing forgets it.
func checkCoolDown(_ context.Context, s *survey) ([]Finding, error) {
	var last Volume
	var until time.Time
	for _, component := range s.components {
		for _, volume := range component.Volumes {
			limit, limited := s.Policy.Limits[volume.Provisioner]
			if missing := volume.missing(component.size); !limited || missing.IsZero() {
				continue
			}
			if next := limit.next(kubedb.Expansions(volume.claim), s.now); next.After(until) {
				last, until = volume, next
			}
		}
	}
	if until.IsZero() {
		return nil, nil
	}
	limit := s.Policy.Limits[last.Provisioner]
	finding := waiting(StepAdmit, ReasonCoolingDown,
		"claim %s/%s was expanded as often as %s allows, %d times in %s: the next attempt is at %s",
		s.namespace, last.Claim, last.Provisioner, limit.Count, duration.HumanDuration(limit.Time), until.UTC().Format(time.RFC3339))
	finding.Until = until.UTC()
	return []Finding{finding}, nil
}
