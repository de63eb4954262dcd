// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package provisioner makes what a Singlestore database consists of: its auth Secret, Services, ServiceAccount and
// PetSets; and says in the database's status how it is. With it and package petset the relay is complete without KubeDB.
// Where KubeDB is installed its own provisioner does this; nothing in the relay depends on this one.
//
// Its guarantees:
//
//   - Names, labels, condition types, reasons, messages and the phase are KubeDB's.
//   - A database whose Paused condition is True is left alone, whoever paused it; only what its status says about its
//     state is kept up to date. status.observedGeneration stays where it was: that spec was not acted upon.
//   - The Paused condition is never lost and never restored: the status is patched with the resourceVersion it was
//     computed from, and only when it says something new.
//   - What exists is never replaced. Secrets, Services and ServiceAccounts are only ever created. Of a PetSet, replicas,
//     the pod template and the update strategy are kept as the database says, by a patch of what differs. The size in its
//     claim template is raised to that of the database and never lowered, so an old view of the database cannot undo an
//     expansion.
//   - The auth Secret has no owner. Volumes outlive their database, and are of no use without the password.
//
// It does less than KubeDB's: no halt, no deletion policies (a database that is deleted takes its pods along and leaves
// its volumes), no init scripts, backups, TLS or monitoring.
//
// What it needs of the API server (cluster-wide, or in Config.Namespace):
//
//	kubedb.com             singlestores                         list, watch
//	kubedb.com             singlestores/status                  patch
//	kubedb.com             singlestores/finalizers              update  (owner references that block deletion)
//	apps.k8s.appscode.com  petsets                              list, watch, create, patch
//	""                     secrets                              get, list, watch, create
//	""                     services, serviceaccounts            list, watch, create
package provisioner
