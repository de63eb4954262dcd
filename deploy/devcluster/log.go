// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// openLog opens the file that every component and child appends to, and turns
// klog, which all of Kubernetes logs with, away from stderr.
func openLog(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log (--log names it): %w", err)
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{
		"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true",
	} {
		if err := flags.Set(name, value); err != nil {
			return nil, fmt.Errorf("set klog's %s: %w", name, err)
		}
	}
	klog.SetOutput(file)
	return file, nil
}

// redirectStderr turns stderr into the log, for the parts of Kubernetes that
// write there on their own (the client of etcd does), until it is restored. A
// crash of the runtime is told on both.
func redirectStderr(log *os.File) (restore func(), err error) {
	fd, err := unix.Dup(unix.Stderr)
	if err != nil {
		return nil, fmt.Errorf("keep stderr: %w", err)
	}
	unix.CloseOnExec(fd)
	real := os.NewFile(uintptr(fd), "stderr")
	if err := debug.SetCrashOutput(real, debug.CrashOptions{}); err != nil {
		return nil, fmt.Errorf("keep stderr for crashes: %w", err)
	}
	if err := unix.Dup3(int(log.Fd()), unix.Stderr, 0); err != nil {
		return nil, fmt.Errorf("turn stderr into the log: %w", err)
	}
	return func() {
		_ = unix.Dup3(fd, unix.Stderr, 0)
		_ = real.Close()
	}, nil
}
