// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
)

// Scaling in leaves the claims of the ordinals that go, and scaling out takes
// them up again, with the size that they have then. They are no volumes of the
// database now: nothing waits for them and nothing fails for them. They are told,
// and if the request says so, they are asked to grow.

// tendLeftovers returns the claims that scaling in has left, asked to grow if the
// request wants that.
func (g *growth) tendLeftovers(ctx context.Context) ([]events.Volume, error) {
	var volumes []events.Volume
	for _, name := range g.leftovers() {
		claim, err := g.tendLeftover(ctx, name)
		if err != nil {
			return nil, err
		}
		if claim != nil {
			volumes = append(volumes, events.Volume{Claim: name, Capacity: claim.Status.Capacity.Storage().String()})
		}
	}
	return volumes, nil
}

// leftovers lists the claims whose names are those of ordinals that the workload
// has no longer.
func (g *growth) leftovers() []string {
	live := map[string]bool{}
	for _, name := range g.names {
		live[name] = true
	}
	var names []string
	for _, claim := range g.claims.in(g.namespace) {
		if !live[claim.Name] && slices.ContainsFunc(g.set.ClaimTemplates, func(template corev1.PersistentVolumeClaim) bool {
			ordinal, ok := strings.CutPrefix(claim.Name, template.Name+"-"+g.set.Name+"-")
			_, err := strconv.ParseUint(ordinal, 10, 31)
			return ok && err == nil
		}) {
			names = append(names, claim.Name)
		}
	}
	slices.Sort(names)
	return names
}

// tendLeftover returns the claim, or nil if it is gone or somebody else's. One
// that cannot be asked to grow stays as it is.
func (g *growth) tendLeftover(ctx context.Context, name string) (*corev1.PersistentVolumeClaim, error) {
	for {
		claim, err := g.core.CoreV1().PersistentVolumeClaims(g.namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("left-over claim %s/%s: %w", g.namespace, name, err)
		}
		if claim.DeletionTimestamp != nil || g.set.CheckClaim(claim) != nil {
			return nil, nil
		}
		if g.event.Operation.Leftovers != events.GrowLeftovers || claim.Status.Phase != corev1.ClaimBound ||
			claim.Spec.Resources.Requests.Storage().Cmp(g.size) >= 0 {
			return claim, nil
		}
		err = g.request(ctx, claim, g.of(claim)) // a conflict is no error: then it is looked at again
		var refused *events.Failure
		if errors.As(err, &refused) {
			zerolog.Ctx(ctx).Warn().Str("claim", name).Str("reason", refused.Message).Msg("a left-over claim cannot be asked to grow, it stays as it is")
			return claim, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// missing lists the claims of ordinals that do not exist: those that are made
// later have the size of the template.
func (g *growth) missing() []string {
	return slices.DeleteFunc(slices.Clone(g.names), func(name string) bool { return g.claims.get(g.namespace, name) != nil })
}
