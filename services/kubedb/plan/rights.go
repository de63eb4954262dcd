// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Right is one verb on one resource.
type Right struct{ Verb, Group, Resource, Subresource string }

// String is the right in words.
func (r Right) String() string {
	name := r.Resource
	if r.Group != "" {
		name += "." + r.Group
	}
	if r.Subresource != "" {
		name += "/" + r.Subresource
	}
	return r.Verb + " " + name
}

// remembered is how long a right that was there is not asked for again. One that
// is taken away meanwhile is missed by the write that needs it.
const remembered = time.Minute

// granted are the rights that were there when they were last asked for.
type granted struct {
	mu    sync.Mutex
	until map[string]time.Time // by namespace and right
}

func (g *granted) has(namespace string, right Right, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.until[namespace+" "+right.String()])
}

func (g *granted) add(namespace string, right Right, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil {
		g.until = map[string]time.Time{}
	}
	g.until[namespace+" "+right.String()] = now.Add(remembered)
}

// checkRights asks the API server for each right that is needed. What the plan
// itself may not read it notices by itself.
func checkRights(ctx context.Context, s *survey) ([]Finding, error) {
	var findings []Finding
	for _, right := range s.Needs {
		if s.granted.has(s.namespace, right, s.now) {
			continue
		}
		review, err := s.Core.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: s.namespace, Verb: right.Verb, Group: right.Group, Resource: right.Resource, Subresource: right.Subresource,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			found, err := unchecked(fmt.Sprintf("the right to %s", right), err)
			if err != nil {
				return nil, err
			}
			findings = append(findings, found...)
			continue
		}
		if !review.Status.Allowed {
			findings = append(findings, waiting(StepAdmit, ReasonRightMissing, "the right to %s in namespace %s is missing: somebody must grant it", right, s.namespace))
			continue
		}
		s.granted.add(s.namespace, right, s.now)
	}
	return findings, nil
}
