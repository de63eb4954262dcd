// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package petset runs PetSets: it makes their pods and claims, so that the relay is complete without KubeDB. Where
// KubeDB is installed its own controller does this; nothing in the relay depends on this one.
//
// Its guarantees:
//
//   - Names and labels are KubeDB's: pods <petset>-<ordinal>, claims <template>-<petset>-<ordinal> with the labels of the
//     claim template and of the selector.
//   - A claim is made where it is missing, and never changed or deleted afterwards, whatever the set's retention policy
//     says. A change of the claim templates makes no new revision and touches no pod.
//   - At most one pod per ordinal. A pod is deleted only by its UID, never by force, and never while it is terminating
//     already; a dead pod that somebody holds with a finalizer is waited for.
//   - Pods that match the selector, carry the set's name and have no controller are adopted as they are: deleting a set
//     with orphan propagation and making it again restarts nothing.
//   - OrderedReady and Parallel management, OnDelete and RollingUpdate (one pod at a time, with partition) as in a
//     StatefulSet. No ControllerRevisions are kept: a revision is a hash of the pod template, and a pod that is missing is
//     always made from the template as it is now, below the partition too.
//   - Level-triggered: what it does follows from what is there, so it may be stopped, started and doubled at any time.
//
// What it needs of the API server (cluster-wide, or in Config.Namespace):
//
//	apps.k8s.appscode.com  petsets                 get, list, watch
//	apps.k8s.appscode.com  petsets/status          update
//	apps.k8s.appscode.com  petsets/finalizers      update  (owner references that block deletion)
//	""                     pods                    list, watch, create, patch, delete
//	""                     persistentvolumeclaims  list, watch, create
package petset
