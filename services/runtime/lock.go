// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockFile is the file in a locked directory whose lock counts. What it says is
// for the error of the next process only.
const lockFile = "opsrelay.lock"

// LockDirectory makes the directory, if there is none, and locks it for this
// process. A directory that another process holds is an error that names it. The
// lock is the kernel's: it ends with the process, however that ends, and with
// unlock. The file stays: whoever removed it could remove another's.
func LockDirectory(directory string) (unlock func(), err error) {
	if err := os.MkdirAll(directory, 0o750); err != nil {
		return nil, fmt.Errorf("make the directory %s: %w", directory, err)
	}
	path := filepath.Join(directory, lockFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the directory %s: %w", directory, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer func() { _ = file.Close() }() // nothing was written
		return nil, fmt.Errorf("the directory %s is in use by %s: stop that one, or name another directory", directory, holder(file))
	}
	if err == nil {
		err = sign(file)
	}
	if err != nil {
		_ = file.Close() // the error says more
		return nil, fmt.Errorf("lock the directory %s: %w", directory, err)
	}
	return func() { _ = file.Close() }, nil // closing it unlocks it
}

// sign writes who holds the lock. A disk without room is no reason to be refused:
// the lock is the kernel's.
func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	if errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// holder is who holds the lock, as far as the file says.
func holder(file *os.File) string {
	text, err := io.ReadAll(io.LimitReader(file, 32))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return "the process " + pid
	}
	return "another process"
}
