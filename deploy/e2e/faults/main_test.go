// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/opsrelay/opsrelay/deploy/stack"
)

// patience is how long a test waits for what takes a second on an idle machine.
const patience = 4 * time.Minute

// quick is how soon a test looks again at what it waits for.
const quick = 20 * time.Millisecond

// shared is the cluster of all tests, with the stand-ins for KubeDB. With -short
// there is none.
var shared *stack.Stack

// binary is the opsrelay binary under test, with fault points.
var binary string

func TestMain(m *testing.M) {
	// The tests mostly wait: more of them than there are processors run at once,
	// unless somebody says otherwise.
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "8") // it is there, and takes numbers
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if testing.Short() {
		return m.Run(), nil
	}
	directory, err := os.MkdirTemp("", "opsrelay-faults-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(directory) }() // temporary anyway
	binary = filepath.Join(directory, "opsrelay")
	if err := stack.Build(binary, false, "faultpoints"); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	shared, err = stack.Start(ctx, stack.Options{Directory: directory, Binary: binary, Processes: stack.KubeDB, Attach: true})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, shared.Stop()) }()
	return m.Run(), nil
}
