// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

// Why a request ends because of its database, whichever service notices.
const (
	// ReasonDatabaseTerminating says that the database is being deleted: it has a deletionTimestamp.
	ReasonDatabaseTerminating = "DatabaseTerminating"
	// ReasonDatabaseGone says that the database was deleted, or replaced by another of its name, while its request was under
	// way.
	ReasonDatabaseGone = "DatabaseGone"
)

// RequestFinalizer is the finalizer that version 1 put on requests under way. Nothing puts it on any more; the watcher
// takes it off wherever it is left.
const RequestFinalizer = "opsrelay.dev/relay"
