// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Watches knows which informers of a process cannot list or watch what they are about: a definition or a right is
// missing, or the API server is away. An informer tries again by itself, for ever and in silence, and shows meanwhile
// what it knew before. It is safe for concurrent use.
//
// +k8s:deepcopy-gen=false
type Watches struct {
	mu     sync.Mutex
	broken map[any]brokenWatch
}

// +k8s:deepcopy-gen=false
type brokenWatch struct {
	since time.Time
	err   error
}

// watchesKey is the key of a context's Watches.
type watchesKey struct{}

// NewContext returns a context with which every informer of this package that runs reports to the watches.
func (w *Watches) NewContext(ctx context.Context) context.Context {
	return context.WithValue(ctx, watchesKey{}, w)
}

// restart is how long an API server may be away before that is told: it restarts now and then.
const restart = 5 * time.Second

// Check returns nil, or what cannot be watched and why, and what to do about it.
func (w *Watches) Check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var problems []string
	for _, b := range w.broken {
		if time.Since(b.since) < restart {
			continue
		}
		text := fmt.Sprintf("cannot watch since %s: %v", b.since.UTC().Format(time.RFC3339), b.err)
		if apierrors.IsNotFound(b.err) {
			text += "; is its custom resource definition installed (kubectl get crds)?"
		}
		problems = append(problems, text)
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return errors.New(strings.Join(slices.Compact(problems), "\n"))
}

// report takes up how a list or a watch of the source went, for the Watches of the context, if it has any. A source
// whose context has ended is watched by nobody any more.
func report(ctx context.Context, source any, err error) {
	w, ok := ctx.Value(watchesKey{}).(*Watches)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before, broken := w.broken[source]
	switch {
	case err == nil || ctx.Err() != nil:
		delete(w.broken, source)
	case broken:
		w.broken[source] = brokenWatch{since: before.since, err: err}
	default:
		if w.broken == nil {
			w.broken = map[any]brokenWatch{}
		}
		w.broken[source] = brokenWatch{since: time.Now(), err: err}
		context.AfterFunc(ctx, func() { report(ctx, source, nil) })
	}
}
