// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/notrun"
)

// The README's first command: it ends well and leaves nothing behind.
func TestDemo(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	program := filepath.Join(t.TempDir(), "demo")
	root, err := cluster.Root()
	require.NoError(t, err)
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./deploy/demo")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	temporary := t.TempDir()
	demo := exec.CommandContext(t.Context(), program, "--opsrelay", binary)
	demo.Dir = root
	demo.Env = append(os.Environ(), "TMPDIR="+temporary, "KUBECONFIG=/nonexistent")
	var said bytes.Buffer
	demo.Stdout, demo.Stderr = &said, &said
	require.NoError(t, demo.Run(), said.String())

	text := said.String()
	// Progress is told beside the facts, and may come after the one that it led to.
	require.Regexp(t, `data-sample-sdb-leaf-1 .* Grown`, text)
	from := 0
	for _, want := range []string{"  requested ", "  paused ", "  expanded ", "  updated ", "  resumed ", "VOLUME", "from the request to the resumed database"} {
		at := strings.Index(text[from:], want)
		require.GreaterOrEqual(t, at, 0, "%q is missing, or out of order, in:\n%s", want, text)
		from += at
	}
	require.Contains(t, strings.Join(strings.Fields(text), " "), "data-sample-sdb-leaf-0 10Gi 11Gi data-sample-sdb-leaf-1 10Gi 11Gi")
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left, "the demo left files behind")
}

// Another cluster is used only when its name is confirmed.
func TestDemoAsksBeforeItTouchesACluster(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	root, err := cluster.Root()
	require.NoError(t, err)
	demo := exec.CommandContext(t.Context(), "go", "run", "./deploy/demo", "--cluster=current", "--opsrelay", binary)
	demo.Dir = root
	demo.Env = append(os.Environ(), "KUBECONFIG="+shared.Cluster.Kubeconfig)
	demo.Stdin = strings.NewReader("no\n")
	out, err := demo.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "Use context")
	require.Contains(t, string(out), "not confirmed: nothing was touched")
}
