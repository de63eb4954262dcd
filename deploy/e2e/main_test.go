// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/opsrelay/opsrelay/deploy/stack"
)

// shared is the stack of all tests that leave the services alone. With -short there
// is none, and whoever needs it is to call [notrun.SkipShort].
var shared *stack.Stack

// binary is the opsrelay binary under test.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

// sideBySide is how many tests run at once: most of them wait.
const sideBySide = "8"

func run(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		return fail(err)
	}
	if testing.Short() {
		return m.Run()
	}
	directory, err := os.MkdirTemp("", "opsrelay-e2e-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(directory) }() // temporary anyway
	binary = filepath.Join(directory, "opsrelay")
	if err := stack.Build(binary, raceDetector); err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	shared, err = stack.Start(ctx, stack.Options{
		Directory: directory, Binary: binary, Attach: true, AuditReads: true, Environment: []string{listsOnly},
	})
	if err != nil {
		return fail(err)
	}
	if granted, err = installedRights(ctx, shared.Clients.Core); err != nil {
		return fail(err)
	}
	code := m.Run()
	if err := errors.Join(shared.Stop(), asked.add("shared", shared)); err != nil {
		return fail(err)
	}
	if err := asked.compare(granted, code == 0 && wholeRun()); err != nil {
		return fail(err)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			return fail(err)
		}
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}
