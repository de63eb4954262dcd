// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// semantic compares specs: quantities by their value.
var semantic = equality.Semantic

// rehearse asks the API server whether it would create the StatefulSet, policies
// and webhooks included, and as it is. Nothing is written.
//
// The name is taken, so that AlreadyExists is the best answer, and it hides what
// webhooks would make of it: that is asked under another name. Should only that
// one be refused, the name is why.
func (u *Updater) rehearse(ctx context.Context, next *kubedb.StatefulSet) error {
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	body := next.DeepCopy()
	body.UID, body.ManagedFields = "", nil
	_, err := u.client.StatefulSets(next.Namespace).Create(ctx, body, dryRun)
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return u.refused(next, err.Error())
	default:
		return fmt.Errorf("try to create StatefulSet %s/%s: %w", next.Namespace, next.Name, err)
	}
	body = body.DeepCopy()
	body.Name, body.GenerateName = "", next.Name+"-"
	made, err := u.client.StatefulSets(next.Namespace).Create(ctx, body, dryRun)
	if err == nil && !semantic.DeepEqual(made.Spec, next.Spec) {
		return u.refused(next, "what the API server would create differs from it: a webhook changes its spec, and its pods would be restarted")
	}
	return nil
}

// refused fails for a StatefulSet that cannot be recreated.
func (u *Updater) refused(set *kubedb.StatefulSet, why string) error {
	return bus.Permanent(refusal(set, why+"; it is as it was, and the volumes keep their new sizes"))
}

func refusal(set *kubedb.StatefulSet, message string) events.Failure {
	return events.Failure{
		Step: "update", Object: "StatefulSet " + set.Namespace + "/" + set.Name, Reason: ReasonRecreateRefused, Message: message,
	}
}
