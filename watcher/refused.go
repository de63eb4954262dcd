// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// The writes to a request that may be refused, as they are logged.
const (
	statusWrite     = "status"
	finalizersWrite = "finalizers"
)

// A write that was refused is tried again after firstRetry at first, then after
// twice as long each time, at most after lastRetry: what refuses it, an admission
// webhook or a missing right, may stay for ever.
const (
	firstRetry = 2 * time.Second
	lastRetry  = 5 * time.Minute
)

// refusals are the requests whose status or finalizers the API server would not let
// us write. Their facts are acknowledged all the same: KubeDB's webhook refuses
// every update of a request whose database is gone, and one such request must
// hold up nothing else. What was not written is made up for from the chain.
type refusals struct {
	mu sync.Mutex
	of map[refusalKey]*refusal
}

type refusalKey struct {
	request types.UID
	write   string
}

// refusal is the last one of a write.
type refusal struct {
	words string
	delay time.Duration
	next  time.Time // when it is to be tried again
}

// rest is how long the write is not to be tried yet; 0 if it may be.
func (r *refusals) rest(request *kubedb.SinglestoreOpsRequest, write string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.of[refusalKey{request.UID, write}]; last != nil {
		return max(0, time.Until(last.next))
	}
	return 0
}

// has reports whether the write was refused, and has not succeeded since.
func (r *refusals) has(request *kubedb.SinglestoreOpsRequest, write string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[refusalKey{request.UID, write}] != nil
}

// add remembers a refusal. It returns when to try again, and whether these words
// are new.
func (r *refusals) add(request types.UID, write, words string, now time.Time) (again time.Duration, news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[refusalKey]*refusal{}
	}
	key := refusalKey{request, write}
	last := r.of[key]
	if last == nil {
		last = &refusal{}
		r.of[key] = last
	}
	news = last.words != words
	last.words = words
	last.delay = min(max(firstRetry, 2*last.delay), lastRetry)
	last.next = now.Add(last.delay)
	return last.delay, news
}

// over forgets that the write was refused.
func (r *refusals) over(request *kubedb.SinglestoreOpsRequest, write string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, refusalKey{request.UID, write})
}

// forget forgets all of a request that is gone.
func (r *refusals) forget(request types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, refusalKey{request, statusWrite})
	delete(r.of, refusalKey{request, finalizersWrite})
}

// mayWrite reports whether the write may be tried now. If not, the request is looked
// at again when it may be: the queue remembers the earliest time only that it was
// given for a request.
func (w *Watcher) mayWrite(request *kubedb.SinglestoreOpsRequest, write string) bool {
	rest := w.refusals.rest(request, write)
	if rest > 0 {
		w.loop.AddAfter(types.NamespacedName{Namespace: request.Namespace, Name: request.Name}, rest)
	}
	return rest == 0
}

// putOff has a write that was refused tried again later, and says so once.
func (w *Watcher) putOff(ctx context.Context, request *kubedb.SinglestoreOpsRequest, write string, err error) {
	again, news := w.refusals.add(request.UID, write, err.Error(), time.Now())
	w.loop.AddAfter(types.NamespacedName{Namespace: request.Namespace, Name: request.Name}, again)
	if news {
		zerolog.Ctx(ctx).Warn().Str("request", request.Namespace+"/"+request.Name).Str("write", write).Err(err).
			Msg("the API server refuses a write to the request; it is tried again now and then, and nothing else waits for it")
	}
}

// isRefused reports whether the API server said no to a write, which it will say
// again until somebody changes something: a right, a policy, a webhook. A
// conflict, a rate limit or a server in trouble is none of these.
func isRefused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	default:
		return code >= http.StatusBadRequest && code < http.StatusInternalServerError
	}
}
