// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// shared is the stack of all tests that leave the services alone.
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
	directory, err := os.MkdirTemp("", "opsrelay-e2e-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(directory) }() // temporary anyway
	if err := build(directory); err != nil {
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

// build builds the binary under test, with the race detector if this test has
// it.
func build(directory string) error {
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	binary = filepath.Join(directory, "opsrelay")
	args := []string{"build", "-o", binary}
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./services/opsrelay")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build opsrelay: %w\n%s", err, out)
	}
	return nil
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}
