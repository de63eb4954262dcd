// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/image"
)

// The images under test. They stay: the next run needs only what changed.
const (
	imageOpsrelay = "opsrelay:containers-test"
	imageNATS     = "opsrelay-nats:containers-test"
	imageCluster  = "opsrelay-devcluster:containers-test"
)

// builtFrom is what they were built from.
var builtFrom image.Source

// nonRoot is the user that all images run as.
const (
	nonRoot   = "65532:65532"
	nonRootID = 65532
)

// buildImages builds the three images.
func buildImages(ctx context.Context, e *engine, directory string) error {
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	source, err := image.ReadSource(ctx, root)
	if err != nil {
		return err
	}
	builtFrom = source
	opsrelay, err := image.Opsrelay(ctx, root, directory, source)
	if err != nil {
		return err
	}
	nats, err := natsContext(ctx, root, directory, source)
	if err != nil {
		return err
	}
	devcluster, err := clusterContext(ctx, root, directory, source)
	if err != nil {
		return err
	}
	for tag, files := range map[string]image.Context{imageOpsrelay: opsrelay, imageNATS: nats, imageCluster: devcluster} {
		if err := e.buildImage(ctx, tag, files, source); err != nil {
			return err
		}
	}
	return nil
}

func natsContext(ctx context.Context, root, directory string, source image.Source) (image.Context, error) {
	binary := filepath.Join(directory, "nats-server")
	if err := image.BuildBinary(ctx, root, "github.com/nats-io/nats-server/v2", binary, ""); err != nil {
		return image.Context{}, err
	}
	subscriber := filepath.Join(directory, "subscriber")
	if err := image.BuildBinary(ctx, root, "./deploy/e2e/containers/subscriber", subscriber, ""); err != nil {
		return image.Context{}, err
	}
	return image.Context{
		Dockerfile: filepath.Join(root, "deploy", "e2e", "containers", "nats.Dockerfile"),
		Time:       source.Time,
		Files: []image.File{
			{Path: "nats-server", Mode: 0o755, From: binary},
			{Path: "subscriber", Mode: 0o755, From: subscriber},
			{Path: "data", Mode: fs.ModeDir | 0o777},
			{Path: "etc/nats", Mode: fs.ModeDir | 0o755},
			{Path: "etc/nats-auth", Mode: fs.ModeDir | 0o755},
			{Path: "run/nats", Mode: fs.ModeDir | 0o777},
		},
	}, nil
}

func clusterContext(ctx context.Context, root, directory string, source image.Source) (image.Context, error) {
	devcluster, err := cluster.Binary()
	if err != nil {
		return image.Context{}, err
	}
	forward := filepath.Join(directory, "forward")
	if err := image.BuildBinary(ctx, root, "./deploy/e2e/containers/forward", forward, ""); err != nil {
		return image.Context{}, err
	}
	return image.Context{
		Dockerfile: filepath.Join(root, "deploy", "e2e", "containers", "devcluster.Dockerfile"),
		Time:       source.Time,
		Files: []image.File{
			{Path: "devcluster", Mode: 0o755, From: devcluster},
			{Path: "csi-resizer", Mode: 0o755, From: filepath.Join(filepath.Dir(devcluster), "csi-resizer")},
			{Path: "forward", Mode: 0o755, From: forward},
			{Path: "data", Mode: fs.ModeDir | 0o777},
			{Path: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777}, // for sockets: paths in /data may be too long
		},
	}, nil
}

// buildImage builds an image by testcontainers, as deploy/image/make does by the
// docker command.
func (e *engine) buildImage(ctx context.Context, tag string, files image.Context, source image.Source, options ...func(*client.ImageBuildOptions)) error {
	var archive, log bytes.Buffer
	if err := files.Write(&archive); err != nil {
		return err
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return fmt.Errorf("build %s: %w", tag, err)
	}
	defer func() { _ = provider.Close() }() // everything was sent
	args := map[string]*string{}
	for name, value := range source.Args() {
		args[name] = &value
	}
	repository, version, _ := strings.Cut(tag, ":")
	request := &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: bytes.NewReader(archive.Bytes()), BuildArgs: args, BuildLogWriter: &log, KeepImage: true,
		Repo: repository, Tag: version,
		BuildOptionsModifier: func(build *client.ImageBuildOptions) {
			for _, option := range options {
				option(build)
			}
		},
	}}
	before, inspectErr := e.docker.ImageInspect(ctx, tag)
	if _, err := provider.BuildImage(ctx, request); err != nil {
		return fmt.Errorf("build %s: %w\n%s", tag, err, log.String())
	}
	if inspectErr != nil {
		return nil // there was none
	}
	return e.removeReplaced(ctx, before.ID, tag)
}

// removeReplaced removes the image that the tag named before, which would stay
// without a name, unless it is the same one still.
func (e *engine) removeReplaced(ctx context.Context, id, tag string) error {
	now, err := e.docker.ImageInspect(ctx, tag)
	if err != nil || now.ID == id {
		return err
	}
	// Another name, or another run's container, may keep it: then it stays.
	_, _ = e.docker.ImageRemove(ctx, id, client.ImageRemoveOptions{PruneChildren: true})
	return nil
}

// copyFile copies a file out of a container.
func copyFile(ctx context.Context, container *testcontainers.DockerContainer, from, to string) (err error) {
	content, err := container.CopyFileFromContainer(ctx, from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	defer func() { _ = content.Close() }() // it was only read
	file, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	_, err = file.ReadFrom(content)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
