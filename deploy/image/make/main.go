// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Command make builds the image of Opsrelay as opsrelay:VERSION and
// opsrelay:dev, with the docker command and without a registry. It is what
// `make image` runs.
//
//	go run ./deploy/image/make
//	go run ./deploy/image/make --context=opsrelay-image.tar   # for another builder
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/image"
)

func main() {
	archive := flag.String("context", "", "write the build context to this file instead of building the image")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, *archive)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, archive string) (err error) {
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	source, err := image.ReadSource(ctx, root)
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "opsrelay-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	fmt.Fprintf(os.Stderr, "building opsrelay %s\n", source.Version)
	files, err := image.Opsrelay(ctx, root, directory, source)
	if err != nil {
		return err
	}
	if archive != "" {
		return writeFile(archive, files)
	}
	return build(ctx, files, source)
}

func writeFile(name string, files image.Context) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(files.Write(file), file.Close())
}

// build has the image built by whichever builder the docker command has.
func build(ctx context.Context, files image.Context, source image.Source) error {
	tags := []string{"opsrelay:" + source.Version, "opsrelay:dev"}
	args := []string{"build", "--quiet"}
	for _, tag := range tags {
		args = append(args, "--tag", tag)
	}
	for name, value := range source.Args() {
		args = append(args, "--build-arg", name+"="+value)
	}
	reader, writer := io.Pipe()
	cmd := exec.CommandContext(ctx, "docker", append(args, "-")...)
	cmd.Stdin, cmd.Stderr = reader, os.Stderr
	go func() { writer.CloseWithError(files.Write(writer)) }()
	err := cmd.Run()
	_ = reader.CloseWithError(io.ErrClosedPipe) // ends the writer where docker did not read to the end
	if err != nil {
		return fmt.Errorf("docker %s: %w", slices.Concat(args, []string{"-"}), err)
	}
	for _, tag := range tags {
		fmt.Println(tag)
	}
	return nil
}
