// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// intentPrefix begins the names of the ControllerRevisions that are intents. The
// name of the StatefulSet follows, so that each has one intent at most.
const intentPrefix = "opsrelay.recreate."

// IntentName is the name of the ControllerRevision that is the intent to recreate
// the StatefulSet of that name, in the same namespace.
func IntentName(statefulSet string) string { return intentPrefix + statefulSet }

// intent is a StatefulSet that is to be recreated, kept where those who may write
// the database and its workloads cannot write: in a ControllerRevision, which
// Kubernetes' roles edit and admin may only read, and which the admission policies
// in deploy/base/policies let nobody but the updater create. It is stored before
// the StatefulSet is deleted, and until the pods belong to the successor. Should
// all else fail, anybody can create what is in its data.
type intent struct {
	revision *appsv1.ControllerRevision
	// next is the successor: complete, with the sizes that it will have, and with
	// the uid of the one that it succeeds. It is nil when it cannot be read.
	next *kubedb.StatefulSet
	mark mark
}

// intent reads the intent of the StatefulSet; nil if there is none.
func (u *Updater) intent(ctx context.Context, key types.NamespacedName) (*intent, error) {
	revision, err := u.core.AppsV1().ControllerRevisions(key.Namespace).Get(ctx, IntentName(key.Name), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the intent to recreate StatefulSet %s: %w", key, err)
	default:
		return readIntent(revision), nil
	}
}

func readIntent(revision *appsv1.ControllerRevision) *intent {
	i := &intent{revision: revision}
	next := &kubedb.StatefulSet{}
	if json.Unmarshal(revision.Data.Raw, next) == nil && next.Invalid() == nil {
		i.next = next
	}
	i.mark, _ = readMark(revision)
	return i
}

// isOf reports whether the intent was made for that very StatefulSet.
func (i *intent) isOf(set *kubedb.StatefulSet) bool {
	return i != nil && i.next != nil && set != nil && i.next.UID == set.UID
}

// says reports whether the intent is to create that.
func (i *intent) says(next *kubedb.StatefulSet) bool {
	if !i.isOf(next) {
		return false
	}
	if semantic.DeepEqual(i.next.Spec, next.Spec) && semantic.DeepEqual(i.next.ObjectMeta, next.ObjectMeta) {
		return true
	}
	// One was written and read since: what is spelt in another way is the same.
	is, err := json.Marshal(i.next)
	want, errWant := json.Marshal(next)
	return err == nil && errWant == nil && bytes.Equal(is, want)
}

// errNotOurs says that an intent is none that the updater stored.
var errNotOurs = errors.New("it is no intent of the updater's")

// check returns why the intent must not be carried out for the database, or nil:
// it is for a workload which that database's spec names and which it owned, in
// its namespace.
func (i *intent) check(db *kubedb.Singlestore) error {
	name, _ := strings.CutPrefix(i.revision.Name, intentPrefix)
	switch next := i.next; {
	case next == nil:
		return fmt.Errorf("%w: no StatefulSet can be read from it", errNotOurs)
	case next.Namespace != i.revision.Namespace || next.Namespace != db.Namespace || next.Name != name:
		return fmt.Errorf("%w: it is for StatefulSet %s/%s", errNotOurs, next.Namespace, next.Name)
	case !isControlledBy(next.OwnerReferences, db.UID) || !ownedBy(i.revision.OwnerReferences, db.UID):
		return fmt.Errorf("%w: Singlestore %s did not own the StatefulSet", errNotOurs, db.Name)
	case !slices.ContainsFunc(db.Components(), func(c kubedb.Component) bool { return c.Workload == name }):
		return fmt.Errorf("%w: Singlestore %s has no workload %s", errNotOurs, db.Name, name)
	default:
		return nil
	}
}

// store makes next the intent of the StatefulSet, in place of the one that is
// there. The StatefulSet itself is still there and cannot go meanwhile.
func (u *Updater) store(ctx context.Context, db *kubedb.Singlestore, old *intent, next *kubedb.StatefulSet, m mark) error {
	if err := u.drop(ctx, old); err != nil {
		return err
	}
	data, err := compact(next)
	if err != nil {
		return fmt.Errorf("store the intent to recreate %s: %w", nameOf(next), err)
	}
	// The database's end is the intent's. Its controller is nobody, and it has none
	// of the labels of the StatefulSet's own revisions, so that no controller takes
	// it for one of these.
	_, err = u.core.AppsV1().ControllerRevisions(next.Namespace).Create(ctx, &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: next.Namespace, Name: IntentName(next.Name),
			Labels: map[string]string{Recreate: m.Request.UID}, Annotations: map[string]string{Recreate: m.String()},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: kubedb.DatabaseGroupVersion.String(), Kind: kubedb.KindSinglestore, Name: db.Name, UID: db.UID,
			}},
		},
		Data: runtime.RawExtension{Raw: data}, Revision: 1,
	}, metav1.CreateOptions{FieldManager: manager})
	switch {
	case err == nil, apierrors.IsAlreadyExists(err): // somebody else's, or another replica's: it is looked at
		return nil
	case isTooLarge(err):
		return &bus.Hindrance{Failure: refusal(next, "it is too large to be stored before it is deleted ("+err.Error()+")"), Err: err}
	default:
		return u.hindered(next, fmt.Errorf("store the intent to recreate it: %w", err))
	}
}

// compact is the StatefulSet as JSON that is no larger than it has to be: what the
// standard encoder writes for people's browsers, six bytes for one of <, > and &,
// makes a large StatefulSet too large.
func compact(set *kubedb.StatefulSet) ([]byte, error) {
	data, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(tree)
	return bytes.TrimSpace(text.Bytes()), err
}

// isTooLarge reports whether an object is larger than the cluster's database takes.
func isTooLarge(err error) bool {
	return apierrors.IsRequestEntityTooLargeError(err) || strings.Contains(err.Error(), "request is too large")
}

// drop deletes the intent as it was read; nil is no intent.
func (u *Updater) drop(ctx context.Context, i *intent) error {
	if i == nil {
		return nil
	}
	err := u.core.AppsV1().ControllerRevisions(i.revision.Namespace).Delete(ctx, i.revision.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &i.revision.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete ControllerRevision %s/%s: %w", i.revision.Namespace, i.revision.Name, err)
	}
	return nil
}

// successor is the StatefulSet as it is to be recreated: as it is, but for what
// the mark says, which is what was changed of it to delete it, and the sizes that
// are too small.
func successor(set *kubedb.StatefulSet, m mark) (*kubedb.StatefulSet, error) {
	next := set.DeepCopy()
	next.TypeMeta = metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: kubedb.KindStatefulSet}
	next.ObjectMeta = metav1.ObjectMeta{
		Namespace: set.Namespace, Name: set.Name, UID: set.UID,
		Labels: without(set.Labels), Annotations: without(set.Annotations),
		OwnerReferences: set.OwnerReferences, Finalizers: m.Finalizers,
	}
	next.Status = appsv1.StatefulSetStatus{}
	fields, err := withFields(putBack(nil, set.ManagedFields), m.RetentionPolicyFields)
	if err != nil {
		return nil, err
	}
	next.ManagedFields = fields
	if m.changesPolicy(set) {
		next.Spec.PersistentVolumeClaimRetentionPolicy = m.RetentionPolicy
	}
	for i := range next.Spec.VolumeClaimTemplates {
		template := &next.Spec.VolumeClaimTemplates[i]
		size, ok := m.Sizes[template.Name]
		if !ok {
			continue
		}
		smaller, err := isSmaller(template.Spec.Resources.Requests.Storage(), size)
		if err != nil {
			return nil, err
		}
		if smaller {
			raise(template, size)
		}
	}
	return next, nil
}

// sameKind reports whether a StatefulSet makes the same pods and claims as the one
// that was to be recreated, and whether any of its sizes is smaller. How many pods
// it has is a user's to change at any time.
func sameKind(set, next *kubedb.StatefulSet) (same, smaller bool) {
	is, want := set.Spec.DeepCopy(), next.Spec.DeepCopy()
	is.Replicas, want.Replicas = nil, nil
	for i := range min(len(is.VolumeClaimTemplates), len(want.VolumeClaimTemplates)) {
		has, wants := &is.VolumeClaimTemplates[i].Spec.Resources, &want.VolumeClaimTemplates[i].Spec.Resources
		smaller = smaller || has.Requests.Storage().Cmp(*wants.Requests.Storage()) < 0
		has.Requests = wants.Requests
	}
	return semantic.DeepEqual(is, want), smaller
}

// nameOf names the StatefulSet, as failures do.
func nameOf(set *kubedb.StatefulSet) string { return "StatefulSet " + set.Namespace + "/" + set.Name }
