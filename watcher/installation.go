// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Two installations in one cluster, each with a broker of its own, answer the same
// requests, and neither hears of the other's chains. What tells them apart is the
// field manager of a request's status, which is the name of its installation.
//
// Prevented is that a request which one of them writes is begun, re-driven, ended
// or written by the other's watcher. Not prevented is that both begin a chain of a
// new request at the same moment, before either has written a word: the second is
// told by its first write, which conflicts, and its chain then runs in silence.
// The steps of both chains are idempotent, and the pause is the request's, whoever
// takes it; but the first of them to end gives it back. The sweeps of the workers
// are not divided, either: they ask the chain of a pod that is held, and release one
// whose chain they do not find after a while. And a pause that a deleted request
// has left is taken back by whoever sees it.

// onlyInstallation keeps of the managed fields of a request, often the larger half
// of it, whose it is.
func onlyInstallation(object any) (any, error) {
	if request, ok := object.(*kubedb.SinglestoreOpsRequest); ok {
		kubedb.KeepInstallation(request)
	}
	return object, nil
}

// another names the installation whose request it is, if that is not this one. A
// request without a status is nobody's, and one of version 1, which had no name, is
// everybody's.
func (w *Watcher) another(request *kubedb.SinglestoreOpsRequest) (name string, is bool) {
	name, _ = kubedb.InstallationOf(request)
	return name, name != "" && name != w.Installation
}

// atWork names another installation of which the request shows that it is at work,
// or has left work undone. Requests that ended before we started show neither.
func (w *Watcher) atWork(request *kubedb.SinglestoreOpsRequest) (name string, is bool) {
	if _, at := kubedb.InstallationOf(request); request.Status.Phase.Terminal() && at.Before(w.started) {
		return "", false
	}
	return w.another(request)
}

// leave reports whether the request is another installation's, and says once of each
// that it is there.
func (w *Watcher) leave(ctx context.Context, request *kubedb.SinglestoreOpsRequest) bool {
	if name, is := w.atWork(request); is {
		if _, said := w.told.LoadOrStore(name, true); !said {
			zerolog.Ctx(ctx).Warn().Str("installation", w.Installation).Str("other", name).Str("request", request.Namespace+"/"+request.Name).
				Msg("another installation of Opsrelay answers requests of this cluster, which are left to it: stop one of them, or divide the namespaces with --namespace; if this one has only been renamed, start its watcher with --installation and the old name until these requests have ended")
		}
	}
	_, is := w.another(request)
	return is
}

// installations counts the other installations that the requests show to be at work.
func (w *Watcher) installations() int {
	names := map[string]bool{}
	for _, object := range w.requests.GetStore().List() {
		if name, is := w.atWork(object.(*kubedb.SinglestoreOpsRequest)); is {
			names[name] = true
		}
	}
	return len(names)
}
