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

// Intent names the annotation of a database that holds the StatefulSet which is
// to be made anew, as a manifest: complete, with the sizes that it will have, and
// with the uid of the one that it succeeds. It is there before that one is
// deleted, and until the pods belong to the successor: so that a workload or an
// intent to make it exists at any time, whoever dies. Should all else fail,
// anybody can create the manifest.
//
// A label of that name makes such databases found, its value is the uid of the
// request. An annotation of that name on the StatefulSet says that it is about to
// be deleted for that request.
const Intent = "opsrelay.dev/recreate"

// intentOf reads the database's intent; nil if it has none. Only one workload of a
// database is made anew at a time.
func intentOf(db *kubedb.Singlestore) (*kubedb.StatefulSet, error) {
	manifest, ok := db.Annotations[Intent]
	if !ok {
		return nil, nil
	}
	intent := &kubedb.StatefulSet{}
	if err := json.Unmarshal([]byte(manifest), intent); err != nil {
		return nil, fmt.Errorf("annotation %s of Singlestore %s/%s: %w", Intent, db.Namespace, db.Name, err)
	}
	if err := intent.Invalid(); err != nil {
		return nil, fmt.Errorf("annotation %s of Singlestore %s/%s: %w", Intent, db.Namespace, db.Name, err)
	}
	return intent, nil
}

// successor is the StatefulSet as it is to be made anew for the component: as it
// is, but for sizes that are too small. It is nil if none is. What an earlier
// attempt changed to delete it is taken from that one's intent, or is nil.
func successor(set, intent *kubedb.StatefulSet, component events.Component) (*kubedb.StatefulSet, error) {
	next := set.DeepCopy()
	next.TypeMeta = metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: kubedb.KindStatefulSet}
	next.ObjectMeta = metav1.ObjectMeta{
		Namespace: set.Namespace, Name: set.Name, UID: set.UID, Labels: set.Labels, Annotations: maps.Clone(set.Annotations),
		OwnerReferences: set.OwnerReferences, Finalizers: set.Finalizers,
	}
	delete(next.Annotations, Intent)
	next.Status = appsv1.StatefulSetStatus{}
	if intent != nil && intent.UID == set.UID {
		next.Spec.PersistentVolumeClaimRetentionPolicy = intent.Spec.PersistentVolumeClaimRetentionPolicy
	}
	raised := false
	for i := range next.Spec.VolumeClaimTemplates {
		template := &next.Spec.VolumeClaimTemplates[i]
		size := component.Size(template.Name)
		smaller, err := isSmaller(template.Spec.Resources.Requests.Storage(), size)
		if err != nil {
			return nil, err
		}
		if smaller {
			raised = true
			raise(template, size)
		}
	}
	if !raised {
		return nil, nil
	}
	return next, nil
}

// record writes the intent, unless the database was changed since it was read.
// nil removes it.
func (u *Updater) record(ctx context.Context, db *kubedb.Singlestore, intent *kubedb.StatefulSet, request string) error {
	var manifest, label any // null
	if intent != nil {
		data, err := json.Marshal(intent)
		if err != nil {
			return fmt.Errorf("update StatefulSet %s/%s: %w", intent.Namespace, intent.Name, err)
		}
		manifest, label = string(data), request
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": db.ResourceVersion,
		"annotations":     map[string]any{Intent: manifest}, "labels": map[string]any{Intent: label},
	}})
	if err != nil {
		return fmt.Errorf("update Singlestore %s/%s: %w", db.Namespace, db.Name, err)
	}
	_, err = u.client.Singlestores(db.Namespace).Patch(ctx, db.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return classify("Singlestore "+db.Namespace+"/"+db.Name, ReasonDatabaseGone, err)
}

// mark says on the StatefulSet that it is about to be deleted for the request, so
// that nobody who read it before can delete it after that was undone, and has its
// claims stay when it goes. An empty request undoes both.
func (u *Updater) mark(ctx context.Context, set *kubedb.StatefulSet, request string, policy *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy) error {
	var value any // null
	if request != "" {
		value = request
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"uid": set.UID, "resourceVersion": set.ResourceVersion, "annotations": map[string]any{Intent: value},
		},
		"spec": map[string]any{"persistentVolumeClaimRetentionPolicy": policy},
	})
	if err != nil {
		return fmt.Errorf("update StatefulSet %s/%s: %w", set.Namespace, set.Name, err)
	}
	_, err = u.client.StatefulSets(set.Namespace).Patch(ctx, set.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return classify("StatefulSet "+set.Namespace+"/"+set.Name, ReasonWorkloadGone, err)
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

// same reports whether two intents are for the same, in every field that is kept.
func same(a, b *kubedb.StatefulSet) bool {
	return a.UID == b.UID && semantic.DeepEqual(a.Spec, b.Spec) && semantic.DeepEqual(a.ObjectMeta, b.ObjectMeta)
}

// sameKind reports whether a StatefulSet makes the same pods and claims as the one
// that was to be made. How many is a user's to change at any time.
func sameKind(set, intent *kubedb.StatefulSet) bool {
	is, want := set.Spec.DeepCopy(), intent.Spec.DeepCopy()
	is.Replicas, want.Replicas = nil, nil
	return semantic.DeepEqual(is, want)
}

// isOf reports whether the pod is one that the StatefulSet makes.
func isOf(set *kubedb.StatefulSet, pod string) bool {
	return slices.Contains(set.Workload().PodNames(), pod)
}
