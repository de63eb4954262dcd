// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/notrun"
)

// largestBinary is what the program may take, in bytes. It has 46 MB; with all that
// nobody calls it had 69.
const largestBinary = 54 << 20

// One dependency that looks a method up by its name keeps the linker from leaving
// any out.
func TestNothingIsLinkedThatNobodyCalls(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	root, err := cluster.Root()
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "opsrelay")
	require.NoError(t, BuildBinary(t.Context(), root, "./services/opsrelay", binary, ""))
	info, err := os.Stat(binary)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(largestBinary), "too large: what looks methods up by name is marked <ReflectMethod> by\n"+
		"go build -tags=grpcnotrace -ldflags=-dumpdep ./services/opsrelay")
}
