// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// explain adds to a failure what a person needs who has to act on it: the size
// that every volume has now. A context that ended because the chain did, or the
// process, is nobody's failure and comes back as it is.
func (x *Expander) explain(ctx context.Context, op events.Operation, err error) error {
	var failure *events.Failure
	var hindrance *bus.Hindrance
	switch {
	case errors.As(err, &failure):
	case errors.As(err, &hindrance):
		hindrance.Failure.Message += x.volumes(op)
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		failure = &events.Failure{
			Step: "expand", Object: object(op), Reason: ReasonNotGrown,
			Message: fmt.Sprintf("not every volume had grown within %s", op.StepTimeout.Duration()),
		}
	default:
		return err
	}
	explained := *failure
	explained.Message += x.volumes(op)
	return bus.Permanent(explained)
}

// told is how many volumes a failure lists, and toldOfOne how many bytes of what
// each says: it stands in the request's status, which must stay small.
const (
	told      = 20
	toldOfOne = 200
)

// volumes ends the message of a failure.
func (x *Expander) volumes(op events.Operation) string { return "; volumes: " + x.describe(op) }

// describe lists the volumes with their size, their goal and what they wait for,
// those first that are too small.
func (x *Expander) describe(op events.Operation) string {
	var small, grown []string
	for _, component := range op.Components {
		for _, volume := range component.Volumes {
			line := fmt.Sprintf("%s %s of %s", volume.Claim, volume.Capacity, component.To)
			claim := x.claims.get(op.Database.Namespace, volume.Claim)
			if claim == nil {
				small = append(small, line)
				continue
			}
			size, asked := resource.MustParse(component.To), claim.Spec.Resources.Requests.Storage()
			stage := stageOf(claim, size)
			if asked.Cmp(size) < 0 && stage.message == "" {
				stage.message = "asks for " + asked.String()
			}
			line += " (" + events.Shorten(stage.String(), toldOfOne) + ")"
			if stage.name == events.StateGrown {
				grown = append(grown, line)
			} else {
				small = append(small, line)
			}
		}
	}
	lines := slices.Concat(small, grown)
	if more := len(lines) - told; more > 0 {
		lines = append(lines[:told], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, ", ")
}

func object(op events.Operation) string {
	return op.Database.Kind + " " + op.Database.Namespace + "/" + op.Database.Name
}
