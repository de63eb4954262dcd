// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// request asks for the size on this request's behalf.
func (g *growth) request(ctx context.Context, claim *corev1.PersistentVolumeClaim, did *done) error {
	return g.resize(ctx, claim, did, g.component.To, map[string]any{
		kubedb.AnnotationExpansions:  kubedb.WithExpansion(claim, time.Now()),
		kubedb.AnnotationExpandedFor: g.event.Operation.Request.UID,
	})
}

// resizerRest is how long a refusal rests before the claim's request is lowered for
// it. An external-resizer puts what it wrote into its own cache, over what it may
// have heard meanwhile: a request that changes in that very moment it would notice
// minutes later.
const resizerRest = 500 * time.Millisecond

// lower asks for less than the claim asks for now, in answer to a refusal.
func (g *growth) lower(to resource.Quantity) act {
	return func(ctx context.Context, claim *corev1.PersistentVolumeClaim, did *done) error {
		rest := time.NewTimer(resizerRest)
		defer rest.Stop()
		select {
		case <-rest.C:
			return g.resize(ctx, claim, did, to.String(), nil)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// resize writes the claim's storage request, unless somebody changed the claim
// since it was seen, or we did: then that change calls us again.
func (g *growth) resize(ctx context.Context, claim *corev1.PersistentVolumeClaim, did *done, to string, annotations map[string]any) error {
	if did.asked == claim.ResourceVersion {
		return nil
	}
	err := g.patchRequest(ctx, claim, to, annotations)
	if err == nil || apierrors.IsConflict(err) {
		did.asked = claim.ResourceVersion
	}
	return g.classify(claim, err)
}

// rehearse fails as request would, and changes nothing.
func (g *growth) rehearse(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Status.Phase != corev1.ClaimBound || claim.Spec.Resources.Requests.Storage().Cmp(g.size) >= 0 {
		return nil
	}
	return g.classify(claim, g.patchRequest(ctx, claim, g.component.To, nil, metav1.DryRunAll))
}

func (g *growth) patchRequest(ctx context.Context, claim *corev1.PersistentVolumeClaim, to string, annotations map[string]any, dryRun ...string) error {
	metadata := map[string]any{"uid": claim.UID, "resourceVersion": claim.ResourceVersion}
	if annotations != nil {
		metadata["annotations"] = annotations
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": metadata,
		"spec":     map[string]any{"resources": map[string]any{"requests": map[string]any{"storage": to}}},
	})
	if err != nil {
		return fmt.Errorf("expand claim %s: %w", claim.Name, err)
	}
	_, err = g.core.CoreV1().PersistentVolumeClaims(g.namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{DryRun: dryRun})
	return err
}

// classify tells what another try can mend from what it cannot.
func (g *growth) classify(claim *corev1.PersistentVolumeClaim, err error) error {
	failure := events.Failure{Step: "expand", Object: "PersistentVolumeClaim " + g.namespace + "/" + claim.Name}
	switch {
	case err == nil, apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return nil
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err) && strings.Contains(err.Error(), "must support resize"):
		failure.Reason, failure.Message = ReasonExpansionRefused, err.Error()
		return bus.Permanent(failure)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		failure.Reason, failure.Message = ReasonQuotaExceeded, err.Error()
		return &bus.Hindrance{Failure: failure, Err: err} // a quota may be raised
	default:
		return fmt.Errorf("expand claim %s/%s: %w", g.namespace, claim.Name, err)
	}
}
