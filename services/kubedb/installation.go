// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// watcherManager is the field manager of version 1's watcher, which had no name, and begins every other's.
const watcherManager = "opsrelay-watcher"

// maxInstallation is how long the name of an installation can be, in bytes: a field manager has at most 128.
const maxInstallation = 128 - len(watcherManager+".")

// CheckInstallation returns why the name cannot be that of an installation: it is part of a field manager, for which
// Kubernetes wants printable characters.
func CheckInstallation(name string) error {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if name == "" || len(name) > maxInstallation || !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable) {
		return fmt.Errorf("%q cannot name an installation: 1 to %d bytes are wanted, all printable", name, maxInstallation)
	}
	return nil
}

// WatcherManager is the field manager as which the watcher of an installation writes the status of requests. It tells
// every reader of a request whose it is, and costs nothing.
func WatcherManager(installation string) string {
	if installation == "" {
		return watcherManager
	}
	return watcherManager + "." + installation
}

// InstallationOf names the installation whose watcher was the last to write the request's status, and when that was, to
// the second. The name is empty where none has, or one without a name: version 1's.
func InstallationOf(request *SinglestoreOpsRequest) (name string, at time.Time) {
	entry := lastStatusWrite(request)
	if entry == nil {
		return "", time.Time{}
	}
	if entry.Time != nil {
		at = entry.Time.Time
	}
	return strings.TrimPrefix(strings.TrimPrefix(entry.Manager, watcherManager), "."), at
}

// KeepInstallation drops of the managed fields what [InstallationOf] does not need.
func KeepInstallation(request *SinglestoreOpsRequest) {
	entry := lastStatusWrite(request)
	request.ManagedFields = nil
	if entry != nil {
		request.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: entry.Manager, Subresource: entry.Subresource, Time: entry.Time}}
	}
}

// lastStatusWrite is the newest entry of a watcher about the request's status; nil if there is none.
func lastStatusWrite(request *SinglestoreOpsRequest) (last *metav1.ManagedFieldsEntry) {
	for i := range request.ManagedFields {
		entry := &request.ManagedFields[i]
		if entry.Subresource != "status" || entry.Manager != watcherManager && !strings.HasPrefix(entry.Manager, watcherManager+".") {
			continue
		}
		if last == nil || last.Time.Before(entry.Time) {
			last = entry
		}
	}
	return last
}
