// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/opsrelay/opsrelay/services/bus"
)

// conflict is somebody else's write that came in between: what is there now is read
// at once.
var conflict = bus.Retry{Class: "conflict", Delays: []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond, time.Second}}

// retryOf is how the steps wait out what the API server answers.
func retryOf(err error) (bus.Retry, bool) {
	var how bus.Retry
	switch {
	case apierrors.IsConflict(err):
		how = conflict
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		how = bus.Forbidden
	}
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		how.After = time.Duration(seconds) * time.Second
	}
	if how.Class == "" && how.After > 0 {
		how.Class = "throttled"
	}
	return how, how.Class != ""
}
