// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// Hold names the finalizer that keeps a dead pod, and with it the pod's name,
// while its volumes grow: no controller can make the successor meanwhile. A label
// of that name carries the uid of the request that holds the pod, so that holds
// can be found, and an annotation says for people which request that is.
const Hold = "opsrelay.dev/volume-expansion"

// holds reports whether the pod is held, whoever holds it.
func holds(pod *corev1.Pod) bool { return slices.Contains(pod.Finalizers, Hold) }

// heldFor reports whether the pod is held for the request.
func heldFor(pod *corev1.Pod, request events.Reference) bool {
	return holds(pod) && pod.Labels[Hold] == request.UID
}

// hold puts our finalizer on the pod as it was seen. If somebody changed it
// since, or deleted it, that change calls us again. Whoever refuses the hold is not
// waited for: nothing has happened to the pod.
//
// A hold that another request left behind becomes this request's: only one works
// on a database at a time.
func (x *Expander) hold(ctx context.Context, pod *corev1.Pod, request events.Reference) error {
	finalizers := pod.Finalizers
	if !holds(pod) {
		finalizers = append(slices.Clone(pod.Finalizers), Hold)
	}
	err := x.mark(ctx, pod, finalizers, request.UID, fmt.Sprintf("%s %s/%s", request.Kind, request.Namespace, request.Name))
	switch {
	case apierrors.IsInvalid(err) && isBeingDeleted(err):
		return nil
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err):
		return bus.Permanent(events.Failure{
			Step: "expand", Object: "Pod " + pod.Namespace + "/" + pod.Name, Reason: ReasonHoldRefused,
			Message: "the pod was not restarted, because it may not get the finalizer " + Hold + ", which keeps it while its volumes grow: " + err.Error(),
		})
	default:
		return err
	}
}

// isBeingDeleted reports whether the API server refuses a finalizer because its object
// has a deletionTimestamp by now: that is the only thing it has against the field. A
// policy's refusal names no field.
func isBeingDeleted(err error) bool {
	cause, ok := apierrors.StatusCause(err, metav1.CauseTypeForbidden)
	return ok && cause.Field == "metadata.finalizers"
}

// release takes our finalizer and what we wrote beside it off the pod.
func (x *Expander) release(ctx context.Context, pod *corev1.Pod) error {
	finalizers := slices.DeleteFunc(slices.Clone(pod.Finalizers), func(name string) bool { return name == Hold })
	return x.mark(ctx, pod, finalizers, nil, nil)
}

// mark writes finalizers, label and annotation of a pod, unless it was changed
// since it was seen. A pod that is gone, or goes, needs none.
func (x *Expander) mark(ctx context.Context, pod *corev1.Pod, finalizers []string, label, annotation any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": pod.UID, "resourceVersion": pod.ResourceVersion, "finalizers": finalizers,
		"labels": map[string]any{Hold: label}, "annotations": map[string]any{Hold: annotation},
	}})
	if err != nil {
		return fmt.Errorf("hold pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	_, err = x.core.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	switch {
	case err == nil:
		zerolog.Ctx(ctx).Info().Str("pod", pod.Namespace+"/"+pod.Name).Bool("held", label != nil).Msg("hold of a pod changed")
		return nil
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return nil
	default:
		return fmt.Errorf("hold pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
}

// evict asks for the end of that very pod. It returns what a disruption budget
// has against it, if one has: then the pod stays, and is never deleted behind the
// budget's back. The next change of a budget is the time to ask again.
func (x *Expander) evict(ctx context.Context, pod *corev1.Pod) (blocked string, err error) {
	err = x.core.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(pod.UID))},
	})
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return "", nil // gone, or another pod by now: its event calls us again
	case apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause):
		return budgetWords(err), nil
	default:
		return "", fmt.Errorf("evict pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
}

// budgetWords is what the API server says of the budget that refuses: its name
// and its count of healthy pods.
func budgetWords(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == policyv1.DisruptionBudgetCause && cause.Message != "" {
				return cause.Message
			}
		}
	}
	return err.Error()
}

// Release implements bus.Releaser: whatever became of the request, no pod stays
// held for it. It asks the API server itself, and comes back when nothing is held
// any more.
func (x *Expander) Release(ctx context.Context, e, last events.Event) error {
	if e.Operation.Mode == events.Online || last.Fact == events.Requested || last.Fact == events.Paused {
		return nil // the request was begun a second time, and may hold a pod again
	}
	return x.releaseAll(ctx, e.Operation.Database.Namespace, e.Operation.Request.UID)
}

// releaseAll releases every pod that the request holds.
func (x *Expander) releaseAll(ctx context.Context, namespace, request string) error {
	for {
		held, err := x.core.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: Hold + "=" + request})
		if err != nil {
			return fmt.Errorf("release the pods of request %s: %w", request, err)
		}
		if len(held.Items) == 0 {
			return nil
		}
		for i := range held.Items {
			if err := x.release(ctx, &held.Items[i]); err != nil {
				return err
			}
		}
	}
}
