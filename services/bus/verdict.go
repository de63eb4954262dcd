// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"time"

	"github.com/opsrelay/opsrelay/events"
)

// Permanent is the verdict of a step that no repetition can mend: the runner
// publishes failed with it. An [events.Failure] anywhere in a step's error says
// the same.
func Permanent(f events.Failure) error { return &f }

// NotYet is the verdict of a step whose time has not come: it is called again
// after d, and no attempt is counted. The reason is for the log, and for the
// failure should the deadline pass meanwhile.
func NotYet(d time.Duration, reason string) error { return &notYet{after: d, reason: reason} }

type notYet struct {
	after  time.Duration
	reason string
}

// Error implements error.
func (n *notYet) Error() string { return "not yet: " + n.reason }

// Hindrance is an error that goes away when somebody helps: the step is tried
// again as for Err, and should the deadline pass meanwhile, the request fails with
// Failure instead of a plain want of time.
type Hindrance struct {
	Failure events.Failure
	Err     error
}

// Error implements error.
func (h *Hindrance) Error() string { return h.Err.Error() }

// Unwrap returns Err.
func (h *Hindrance) Unwrap() error { return h.Err }
