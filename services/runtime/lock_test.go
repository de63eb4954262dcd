// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/runtime"
)

// envHold has the test's own binary lock the directory and wait to be killed.
const envHold = "OPSRELAY_TEST_HOLD"

func TestLockDirectoryHolder(t *testing.T) {
	directory := os.Getenv(envHold)
	if directory == "" {
		return // it is not the other process of TestADirectoryIsLockedOnce
	}
	_, err := runtime.LockDirectory(directory)
	require.NoError(t, err)
	fmt.Println("locked")
	select {}
}

// A directory belongs to one process at a time, and the next one is told which. A
// process that is killed leaves no lock behind.
func TestADirectoryIsLockedOnce(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "made", "here")
	holder := exec.Command(os.Args[0], "-test.run=^TestLockDirectoryHolder$")
	holder.Env = append(os.Environ(), envHold+"="+directory)
	output, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)

	_, err = runtime.LockDirectory(directory)
	require.ErrorContains(t, err, fmt.Sprintf("is in use by the process %d", holder.Process.Pid))

	require.NoError(t, holder.Process.Kill())
	_ = holder.Wait() // it was killed
	unlock, err := runtime.LockDirectory(directory)
	require.NoError(t, err)
	_, err = runtime.LockDirectory(directory)
	require.ErrorContains(t, err, fmt.Sprintf("is in use by the process %d", os.Getpid()), "within one process, too")
	unlock()
	unlock, err = runtime.LockDirectory(directory)
	require.NoError(t, err)
	unlock()
}
