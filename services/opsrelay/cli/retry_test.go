// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestWhatTheAPIServerAnswersIsWaitedOutByItsKind(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Group: "kubedb.com", Resource: "singlestores"}
	for name, c := range map[string]struct {
		err   error
		class string
		after time.Duration
	}{
		"conflict":     {apierrors.NewConflict(resource, "db", errors.New("changed")), "conflict", 0},
		"forbidden":    {apierrors.NewForbidden(resource, "db", errors.New("quota")), "forbidden", 0},
		"unauthorized": {apierrors.NewUnauthorized("who are you"), "forbidden", 0},
		"throttled":    {apierrors.NewTooManyRequests("slow down", 7), "throttled", 7 * time.Second},
		"away":         {apierrors.NewInternalError(errors.New("etcd has no leader")), "", 0},
		"no answer":    {errors.New("http2: client connection lost"), "", 0},
	} {
		how, ok := retryOf(fmt.Errorf("pause: %w", c.err))
		require.Equal(t, c.class != "", ok, name)
		require.Equal(t, c.class, how.Class, name)
		require.Equal(t, c.after, how.After, name)
	}
}
