// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Names say nothing of ownership: the leaves of database sdb run in sdb-leaf, and so does a standalone database of that
// name. What is somebody else's is never touched.

// CheckOwner returns why the workload is not that of the Singlestore with this name and uid in its namespace, in words
// for people; nil if it is. Its controller owner reference decides. Where there is none, as after a database was deleted
// without its workloads, or restored, KubeDB's labels do.
func (w *Workload) CheckOwner(database string, uid types.UID) error {
	if owner := w.Controller; owner != nil {
		if owner.UID == uid {
			return nil
		}
		return fmt.Errorf("%s belongs to %s %s (uid %s) and not to %s %s", w, owner.Kind, owner.Name, owner.UID, KindSinglestore, database)
	}
	for _, label := range []struct{ key, value string }{
		{LabelName, NameSinglestore}, {LabelInstance, database}, {LabelManagedBy, ManagedByKubeDB},
	} {
		if is := w.Labels[label.key]; is != label.value {
			return fmt.Errorf("%s has no owner, and its label %s is %q, not %q as of the workloads of %s %s",
				w, label.key, is, label.value, KindSinglestore, database)
		}
	}
	return nil
}

// CheckClaim returns why a claim that has the name of one of the workload's is not one, in words for people; nil if it
// is. Controllers put the labels of the workload's selector on every claim that they make, so that one with other labels
// was made for somebody else. One without any label was made by hand, ahead of the pod that takes it by its name.
func (w *Workload) CheckClaim(claim *corev1.PersistentVolumeClaim) error {
	if w.Selector == nil || len(claim.Labels) == 0 {
		return nil
	}
	for key, value := range w.Selector.MatchLabels {
		if is := claim.Labels[key]; is != value {
			return fmt.Errorf("claim %s/%s is not one of %s: its labels are not those of the selector (%s)",
				claim.Namespace, claim.Name, w, metav1.FormatLabelSelector(w.Selector))
		}
	}
	return nil
}
