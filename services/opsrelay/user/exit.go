// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

// The exit codes, besides 0 and 1 (the command itself did not work).
const (
	// ExitFailed: what was waited for ended without success.
	ExitFailed = 2
	// ExitBlocked: the planned request would be rejected.
	ExitBlocked = 3
	// ExitWaits: the planned request could not go through at once.
	ExitWaits = 4
)

// ExitError ends the program with its own code.
type ExitError struct {
	Code    int
	Message string
}

// Error implements error.
func (e *ExitError) Error() string { return e.Message }

// ExitCode is the program's.
func (e *ExitError) ExitCode() int { return e.Code }
