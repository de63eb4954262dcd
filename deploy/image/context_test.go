// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// entry is what is compared of a file in an archive.
type entry struct {
	name string
	mode int64
	text string
}

func entries(t *testing.T, archive []byte, mtime time.Time) []entry {
	t.Helper()
	var list []entry
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		require.NoError(t, err)
		require.True(t, header.ModTime.Equal(mtime), "%s has a time of its own: %s", header.Name, header.ModTime)
		require.Zero(t, header.Uid)
		require.Zero(t, header.Gid)
		require.Empty(t, header.Uname)
		text, err := io.ReadAll(reader)
		require.NoError(t, err)
		list = append(list, entry{header.Name, header.Mode, string(text)})
	}
}

// write makes a file with a time and rights that must not matter.
func write(t *testing.T, directory, name, text string, mtime time.Time) string {
	t.Helper()
	path := filepath.Join(directory, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.Chtimes(path, mtime, mtime))
	return path
}

// The archive depends on contents, paths and the commit's time, and on nothing
// else.
func TestContextIsReproducible(t *testing.T) {
	commit := time.Unix(1_700_000_000, 0)
	assemble := func(mtime time.Time, order func([]File) []File) []byte {
		directory := t.TempDir()
		files := []File{
			{Path: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
			{Path: "program", Mode: 0o755, From: write(t, directory, "program", "binary", mtime)},
			{Path: "etc/ssl/ca.crt", Mode: 0o644, From: write(t, directory, "ca.crt", "certificates", mtime)},
		}
		var archive bytes.Buffer
		context := Context{Dockerfile: write(t, directory, "some.Dockerfile", "FROM scratch", mtime), Files: order(files), Time: commit}
		require.NoError(t, context.Write(&archive))
		return archive.Bytes()
	}
	first := assemble(time.Unix(1, 0), func(files []File) []File { return files })
	second := assemble(time.Now(), func(files []File) []File { return []File{files[2], files[0], files[1]} })

	require.Equal(t, first, second)
	require.Equal(t, []entry{
		{"Dockerfile", 0o644, "FROM scratch"},
		{"rootfs/", 0o755, ""},
		{"rootfs/etc/", 0o755, ""},
		{"rootfs/etc/ssl/", 0o755, ""},
		{"rootfs/etc/ssl/ca.crt", 0o644, "certificates"},
		{"rootfs/program", 0o755, "binary"},
		{"rootfs/tmp/", 0o1777, ""},
	}, entries(t, first, commit))
}

// A file that is not there is named in the error.
func TestContextWithoutFile(t *testing.T) {
	directory := t.TempDir()
	context := Context{
		Dockerfile: write(t, directory, "Dockerfile", "FROM scratch", time.Now()),
		Files:      []File{{Path: "program", Mode: 0o755, From: filepath.Join(directory, "missing")}},
	}
	err := context.Write(io.Discard)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "assemble rootfs/program")
}
