// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Recreate names what the updater puts on a StatefulSet that it is about to
// delete: a finalizer, which keeps the StatefulSet until its pods are let go of
// and its last state is stored; a label with the uid of the request; and an
// annotation that says what is to be different in the successor. The intent, a
// ControllerRevision, has the same label and annotation.
const Recreate = "opsrelay.dev/recreate"

// manager owns the fields that the updater writes.
const manager = "opsrelay-updater"

// mark is what the annotation [Recreate] says.
type mark struct {
	// Request is the request that the StatefulSet is recreated for.
	Request events.Reference `json:"request"`
	// Sizes are those of the successor's claim templates which are too small, by
	// the templates' names.
	Sizes map[string]string `json:"sizes,omitempty"`
	// Finalizers are those that it had. Who holds its deletion up takes his off.
	Finalizers []string `json:"finalizers,omitempty"`
	// RetentionPolicy is the one that it had, if that would have its claims deleted
	// with it; RetentionPolicyFields are the managed fields that owned it.
	RetentionPolicy       *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy `json:"retentionPolicy,omitempty"`
	RetentionPolicyFields []metav1.ManagedFieldsEntry                             `json:"retentionPolicyFields,omitempty"`
}

// String is the annotation's value.
func (m mark) String() string {
	text, err := json.Marshal(m)
	if err != nil {
		return "" // it is of types that can be written
	}
	return string(text)
}

// readMark reads the mark of a StatefulSet or an intent.
func readMark(object metav1.Object) (mark, bool) {
	var m mark
	err := json.Unmarshal([]byte(object.GetAnnotations()[Recreate]), &m)
	return m, err == nil && m.Request.UID != ""
}

// RequestOf is the request that a StatefulSet is marked for, or that an intent was
// stored for; false if it is neither.
func RequestOf(object metav1.Object) (events.Reference, bool) {
	m, ok := readMark(object)
	return m.Request, ok
}

// isMarked reports whether the StatefulSet has everything that the mark is.
func isMarked(set *kubedb.StatefulSet, m mark) bool {
	return set.Labels[Recreate] == m.Request.UID && set.Annotations[Recreate] == m.String() && isHeld(set) &&
		semantic.DeepEqual(retain(set.Spec.PersistentVolumeClaimRetentionPolicy), set.Spec.PersistentVolumeClaimRetentionPolicy)
}

// isHeld reports whether our finalizer keeps the StatefulSet.
func isHeld(set *kubedb.StatefulSet) bool { return slices.Contains(set.Finalizers, Recreate) }

// isTouched reports whether anything of a mark is on the StatefulSet.
func isTouched(set *kubedb.StatefulSet) bool {
	_, labelled := set.Labels[Recreate]
	_, annotated := set.Annotations[Recreate]
	return labelled || annotated || isHeld(set)
}

// markFor is the mark that the StatefulSet must have to be deleted for the request.
func markFor(set *kubedb.StatefulSet, request events.Reference, sizes map[string]string) (mark, error) {
	m, _ := readMark(set) // another request's may be there
	m.Request, m.Sizes = request, sizes
	m.Finalizers = slices.DeleteFunc(slices.Clone(set.Finalizers), func(name string) bool { return name == Recreate })
	policy := set.Spec.PersistentVolumeClaimRetentionPolicy
	if semantic.DeepEqual(policy, retain(policy)) {
		return m, nil
	}
	m.RetentionPolicy = policy
	var err error
	m.RetentionPolicyFields, err = fieldsAt(others(set.ManagedFields), "f:spec", "f:persistentVolumeClaimRetentionPolicy")
	return m, err
}

// changesPolicy reports whether the retention policy of the StatefulSet is the one
// that was written with the mark, and not a user's since.
func (m mark) changesPolicy(set *kubedb.StatefulSet) bool {
	return m.RetentionPolicy != nil && semantic.DeepEqual(set.Spec.PersistentVolumeClaimRetentionPolicy, retain(m.RetentionPolicy))
}

// retain is the policy with which a StatefulSet may be deleted: its claims stay.
func retain(policy *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy) *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	if policy == nil || policy.WhenDeleted != appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
		return policy
	}
	kept := *policy
	kept.WhenDeleted = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	return &kept
}

// putOn marks the StatefulSet as it was read, and has its claims stay when it goes.
func (u *Updater) putOn(ctx context.Context, set *kubedb.StatefulSet, m mark) error {
	finalizers := set.Finalizers
	if !isHeld(set) {
		finalizers = append(slices.Clone(finalizers), Recreate)
	}
	change := map[string]any{"metadata": map[string]any{
		"finalizers": finalizers, "labels": map[string]any{Recreate: m.Request.UID}, "annotations": map[string]any{Recreate: m.String()},
	}}
	if policy := set.Spec.PersistentVolumeClaimRetentionPolicy; !semantic.DeepEqual(policy, retain(policy)) {
		change["spec"] = map[string]any{"persistentVolumeClaimRetentionPolicy": retain(policy)}
	}
	return u.patch(ctx, set, change)
}

// takeOff makes the StatefulSet what it was before it was marked: first the
// policy, and with the mark, which knows of it, who owned that.
func (u *Updater) takeOff(ctx context.Context, set *kubedb.StatefulSet) error {
	m, _ := readMark(set)
	if m.changesPolicy(set) {
		return u.patch(ctx, set, map[string]any{"spec": map[string]any{"persistentVolumeClaimRetentionPolicy": m.RetentionPolicy}})
	}
	metadata := map[string]any{
		"finalizers": withoutFinalizer(set), "labels": map[string]any{Recreate: nil}, "annotations": map[string]any{Recreate: nil},
	}
	if len(m.RetentionPolicyFields) > 0 {
		fields, err := withFields(others(set.ManagedFields), m.RetentionPolicyFields)
		if err != nil {
			return err
		}
		metadata["managedFields"] = fields
	}
	return u.patch(ctx, set, map[string]any{"metadata": metadata})
}

// letFinish takes our finalizer off the StatefulSet as it was read.
func (u *Updater) letFinish(ctx context.Context, set *kubedb.StatefulSet) error {
	return u.patch(ctx, set, map[string]any{"metadata": map[string]any{"finalizers": withoutFinalizer(set)}})
}

func withoutFinalizer(set *kubedb.StatefulSet) []string {
	return slices.DeleteFunc(slices.Clone(set.Finalizers), func(name string) bool { return name == Recreate })
}

// patch changes the StatefulSet, unless it was changed since it was read.
func (u *Updater) patch(ctx context.Context, set *kubedb.StatefulSet, change map[string]any) error {
	metadata, ok := change["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
		change["metadata"] = metadata
	}
	metadata["uid"], metadata["resourceVersion"] = set.UID, set.ResourceVersion
	data, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("update %s: %w", nameOf(set), err)
	}
	_, err = u.client.StatefulSets(set.Namespace).Patch(ctx, set.Name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: manager})
	return classify(nameOf(set), ReasonWorkloadGone, err)
}

// without is a copy of labels or annotations without ours; nil if there are none
// left.
func without(values map[string]string) map[string]string {
	values = maps.Clone(values)
	delete(values, Recreate)
	if len(values) == 0 {
		return nil
	}
	return values
}
