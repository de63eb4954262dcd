// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Opsrelay is one binary for every service: `opsrelay watcher`, `opsrelay
// pauser` and so on are a process each, `opsrelay up` is all of them in one.
package main

import (
	"context"
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
		os.Exit(1)
	}
}
