// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The runner's own summary stays the last line, whatever was not run.
func TestSummaryIsTheLastLine(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(log, []byte(`{"Action":"skip","Package":"github.com/o/r/p","Test":"TestA"}`+"\n"), 0o600))
	var out strings.Builder
	require.NoError(t, run(strings.NewReader("ok p\n\nDONE 2 tests, 1 skipped in 0.1s\n"), &out, log, []string{"the race detector: get a C compiler"}))
	require.Equal(t, `ok p


NOT RUN: 1 test: the test gives no reason
  p: TestA

NOT RUN: the race detector: get a C compiler

DONE 2 tests, 1 skipped in 0.1s
`, out.String())
}

// Where no test was built there is neither log nor summary.
func TestNothingWasRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(strings.NewReader("no such package\nthe end"), &out, filepath.Join(t.TempDir(), "none"), nil))
	require.Equal(t, "no such package\nthe end", out.String())
}
