// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// repository is a git repository with one commit of a known time.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, value := range map[string]string{
		"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_AUTHOR_DATE": "1700000000 +0100",
		"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_COMMITTER_DATE": "1700000000 +0100",
	} {
		t.Setenv(name, value)
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), []byte("one"), 0o600))
	for _, args := range [][]string{{"init", "-q"}, {"add", "file"}, {"commit", "-qm", "one"}, {"tag", "v1.2.3"}} {
		_, err := git(t.Context(), root, args...)
		require.NoError(t, err)
	}
	return root
}

func TestSourceOfCommit(t *testing.T) {
	t.Setenv(EpochEnv, "")
	root := repository(t)
	source, err := ReadSource(t.Context(), root)
	require.NoError(t, err)
	require.Equal(t, "v1.2.3", source.Version)
	require.Len(t, source.Revision, 40)
	require.Equal(t, time.Unix(1_700_000_000, 0).UTC(), source.Time)
	require.Equal(t, map[string]string{
		"VERSION": "v1.2.3", "REVISION": source.Revision, "CREATED": "2023-11-14T22:13:20Z",
	}, source.Args())

	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), []byte("two"), 0o600))
	changed, err := ReadSource(t.Context(), root)
	require.NoError(t, err)
	require.Equal(t, "v1.2.3-dirty", changed.Version)
}

func TestSourceTakesTheTimeItIsGiven(t *testing.T) {
	root := repository(t)
	t.Setenv(EpochEnv, "12")
	source, err := ReadSource(t.Context(), root)
	require.NoError(t, err)
	require.Equal(t, time.Unix(12, 0).UTC(), source.Time)

	t.Setenv(EpochEnv, "yesterday")
	_, err = ReadSource(t.Context(), root)
	require.ErrorContains(t, err, `SOURCE_DATE_EPOCH) is "yesterday"`)
}

// A release's archive has no repository.
func TestSourceWithoutRepository(t *testing.T) {
	t.Setenv(EpochEnv, "")
	source, err := ReadSource(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.Equal(t, Source{Version: "devel", Time: time.Unix(0, 0).UTC()}, source)
}
