// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"
)

// rootfs is the directory of the archive that a Dockerfile copies to /.
const rootfs = "rootfs"

// File is a file or a directory of an image.
type File struct {
	// Path is where it is in the image, without a leading slash.
	Path string
	// Mode is its kind and rights: fs.ModeDir makes a directory. Directories that
	// are not named are made with 0755.
	Mode fs.FileMode
	// From is the file on this machine with its content; directories have none.
	From string
}

// Context is what an image is built from.
type Context struct {
	// Dockerfile is the file on this machine; it says COPY rootfs/ /.
	Dockerfile string
	// Files are those of the image.
	Files []File
	// Time is given to every file.
	Time time.Time
}

// Write writes the archive that `docker build -` reads.
func (c Context) Write(w io.Writer) error {
	archive := tar.NewWriter(w)
	dockerfile := File{Path: "Dockerfile", Mode: 0o644, From: c.Dockerfile}
	for _, file := range append([]File{dockerfile}, c.entries()...) {
		if err := c.writeFile(archive, file); err != nil {
			return fmt.Errorf("assemble %s: %w", file.Path, err)
		}
	}
	return archive.Close()
}

// entries lists the image's files below rootfs with every directory above them,
// parents first: a directory that nobody names would get the time of the build.
func (c Context) entries() []File {
	byPath := map[string]File{}
	for _, file := range c.Files {
		file.Path = path.Join(rootfs, file.Path)
		byPath[file.Path] = file
		for above := path.Dir(file.Path); above != "."; above = path.Dir(above) {
			if _, named := byPath[above]; !named {
				byPath[above] = File{Path: above, Mode: fs.ModeDir | 0o755}
			}
		}
	}
	paths := make([]string, 0, len(byPath))
	for name := range byPath {
		paths = append(paths, name)
	}
	slices.Sort(paths) // a parent's path is a prefix of its children's
	entries := make([]File, len(paths))
	for i, name := range paths {
		entries[i] = byPath[name]
	}
	return entries
}

func (c Context) writeFile(archive *tar.Writer, file File) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: file.Path, Mode: unixMode(file.Mode), ModTime: c.Time, Format: tar.FormatUSTAR}
	if file.Mode.IsDir() {
		header.Typeflag, header.Name = tar.TypeDir, file.Path+"/"
		return archive.WriteHeader(header)
	}
	content, err := os.Open(file.From)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // it was only read
	info, err := content.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, content)
	return err
}

// unixMode is the mode as tar writes it, where the sticky bit of a /tmp has
// another place than in Go.
func unixMode(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
