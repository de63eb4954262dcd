// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestD10_WatchesSayWhatCannotBeWatched(t *testing.T) {
	t.Parallel()
	w := &Watches{}
	ctx, stop := context.WithCancel(w.NewContext(t.Context()))
	first, second := new(int), new(int)
	long := func() { // ago
		w.mu.Lock()
		defer w.mu.Unlock()
		for source, b := range w.broken {
			b.since = b.since.Add(-time.Hour)
			w.broken[source] = b
		}
	}
	report(context.Background(), first, errors.New("nobody listens"))
	require.NoError(t, w.Check())

	missing := apierrors.NewNotFound(schema.GroupResource{Group: "kubedb.com", Resource: "singlestores"}, "")
	report(ctx, first, missing)
	require.NoError(t, w.Check(), "it may be back in a moment")
	long()
	report(ctx, first, missing)
	require.ErrorContains(t, w.Check(), "singlestores.kubedb.com")
	require.ErrorContains(t, w.Check(), "is its custom resource definition installed")
	report(ctx, second, errors.New("forbidden"))
	long()
	require.ErrorContains(t, w.Check(), "forbidden")

	report(ctx, first, nil) // it is back
	require.NotContains(t, w.Check().Error(), "singlestores")
	stop() // and the other is given up
	require.Eventually(t, func() bool { return w.Check() == nil }, time.Minute, time.Millisecond)
	report(ctx, second, context.Canceled)
	require.NoError(t, w.Check())
}
