// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !faultpoints

package faultpoint

import (
	"net/http"
	"time"
)

// At is the place of that name.
func At(_, _ string) {}

// Loses reports whether what is to be sent gets lost on the way: once for each
// number.
func Loses(_ string, _ uint64) bool { return false }

// Clock is this machine's clock.
func Clock() time.Time { return time.Now() }

// Wrap puts points before and after each write that goes to an API server by next.
func Wrap(next http.RoundTripper) http.RoundTripper { return next }
