// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

// Times of a child process.
const (
	firstRestart  = 100 * time.Millisecond
	lastRestart   = 5 * time.Second
	stableAfter   = 10 * time.Second // its back-off starts over when it ran this long
	stopGraceTime = 3 * time.Second  // from SIGTERM to SIGKILL
)

// child is a process that is kept running.
type child struct {
	name string
	path string
	args []string
	// files are the child's descriptors from 3 on.
	files func() ([]*os.File, error)
	log   *os.File
}

// supervise runs the child until ctx ends, and again with a back-off whenever
// it ends by itself.
//
// The goroutine keeps its thread: the kernel sends the death signal when the
// thread that made the child ends, not when the process does.
func (c child) supervise(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	backoff := firstRestart
	for {
		began := time.Now()
		err := c.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > stableAfter {
			backoff = firstRestart
		}
		klog.ErrorS(err, "A child process ended, will restart it", "child", c.name, "after", backoff)
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
			return nil
		}
		backoff = min(2*backoff, lastRestart)
	}
}

func (c child) run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Args[0] = c.name // what ps shows
	cmd.Stdout, cmd.Stderr = c.log, c.log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGraceTime
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// It dies with us, even when we are killed.
		Pdeathsig: syscall.SIGKILL,
		// Ctrl-C in a terminal reaches us alone; we stop it in our order.
		Setpgid: true,
	}
	if c.files != nil {
		files, err := c.files()
		if err != nil {
			return fmt.Errorf("start %s: %w", c.name, err)
		}
		cmd.ExtraFiles = files
		defer func() {
			for _, file := range files {
				_ = file.Close()
			}
		}()
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return fmt.Errorf("%s ended without an error", c.name)
}
