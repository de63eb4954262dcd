// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Opsrelay is one binary for every service: `opsrelay watcher`, `opsrelay
// pauser` and so on are a process each, `opsrelay up` is all of them in one.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/opsrelay/opsrelay/services/opsrelay/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := cli.New().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "opsrelay:", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is the error's own, if it has one.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}
