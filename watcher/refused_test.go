// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestIsRefused(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Group: "ops.kubedb.com", Resource: "singlestoreopsrequests"}
	answer := func(code int32) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code}}
	}
	tests := []struct {
		name    string
		err     error
		refused bool
	}{
		{"nothing", nil, false},
		{"no answer", errors.New("connection refused"), false},
		{"missing right, or denied by a webhook", apierrors.NewForbidden(resource, "grow", errors.New("no")), true},
		{"with what was done", fmt.Errorf("write: %w", apierrors.NewForbidden(resource, "grow", errors.New("no"))), true},
		{"a policy", apierrors.NewInvalid(schema.GroupKind{}, "grow", nil), true},
		{"a webhook's own code", answer(http.StatusTeapot), true},
		{"conflict", apierrors.NewConflict(resource, "grow", nil), false},
		{"gone", apierrors.NewNotFound(resource, "grow"), false},
		{"too many requests", apierrors.NewTooManyRequests("later", 1), false},
		{"unauthorized", apierrors.NewUnauthorized("who?"), false},
		{"a webhook that does not answer", apierrors.NewInternalError(errors.New("failed calling webhook")), false},
		{"server in trouble", answer(http.StatusServiceUnavailable), false},
	}
	for _, test := range tests {
		require.Equal(t, test.refused, isRefused(test.err), test.name)
	}
}

// What is refused is tried again later and later, and said when it is refused for
// another reason.
func TestRefusalsBackOff(t *testing.T) {
	t.Parallel()
	var r refusals
	now := time.Now()
	var delays []time.Duration
	for i := range 10 {
		again, news := r.add("uid", statusWrite, "no", now)
		require.Equal(t, i == 0, news)
		delays = append(delays, again)
	}
	require.Equal(t, firstRetry, delays[0])
	require.Equal(t, 2*firstRetry, delays[1])
	require.Equal(t, lastRetry, delays[9])
	_, news := r.add("uid", statusWrite, "still no", now)
	require.True(t, news)
	_, news = r.add("uid", finalizersWrite, "no", now)
	require.True(t, news, "each write is told for itself")
	r.forget("uid")
	require.Empty(t, r.of)
}

// A definition that is out of service for a moment is no proof that its objects are
// gone.
func TestNotThere(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Group: "ops.kubedb.com", Resource: "singlestoreopsrequests"}
	require.True(t, notThere(apierrors.NewNotFound(resource, "grow")))
	require.False(t, notThere(apierrors.NewGenericServerResponse(http.StatusNotFound, "get", resource, "grow", "404 page not found", 0, true)))
	require.False(t, notThere(apierrors.NewForbidden(resource, "grow", nil)))
	require.False(t, notThere(nil))
}
