// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile is the file in the data directory whose lock counts. What it says is for
// the error of the next process only.
const lockFile = "devcluster.lock"

// lockDataDir has the data directory for this process alone: two etcds on one would
// ruin it. The lock is the kernel's and ends with the process, however that ends;
// no child inherits it.
func lockDataDir(directory string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(directory, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer func() { _ = file.Close() }() // nothing was written
		holder, _ := io.ReadAll(io.LimitReader(file, 32))
		return nil, fmt.Errorf("--data-dir: %s is in use by the process %s: stop that one, or name another directory", directory, strings.TrimSpace(string(holder)))
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	if err != nil {
		_ = file.Close() // the error says more
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return func() { _ = file.Close() }, nil // closing it unlocks it
}
