// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"os/exec"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/image"
)

// The image is one layer, says what it is, and holds nothing that could start a
// shell.
func TestImage(t *testing.T) {
	b := setup(t, 1)
	built, err := b.docker.ImageInspect(b.ctx, imageOpsrelay)
	require.NoError(t, err)
	require.Equal(t, nonRoot, built.Config.User)
	require.Equal(t, []string{"/opsrelay"}, built.Config.Entrypoint)
	require.Len(t, built.RootFS.Layers, 1)
	labels := built.Config.Labels
	require.Equal(t, "Apache-2.0", labels["org.opencontainers.image.licenses"])
	require.Equal(t, builtFrom.Version, labels["org.opencontainers.image.version"])
	require.Equal(t, builtFrom.Revision, labels["org.opencontainers.image.revision"])
	require.Equal(t, builtFrom.Time.Format(time.RFC3339), labels["org.opencontainers.image.created"])

	shell, err := b.docker.ContainerCreate(b.ctx, client.ContainerCreateOptions{Config: &container.Config{
		Image: imageOpsrelay, Entrypoint: []string{"/bin/sh"}, Labels: b.labels(),
	}})
	require.NoError(t, err)
	_, err = b.docker.ContainerStart(b.ctx, shell.ID, client.ContainerStartOptions{})
	require.ErrorContains(t, err, "no such file or directory")
}

// Two builds of one commit, in two places and with no layer kept between them,
// give the same layer.
func TestImageIsReproducible(t *testing.T) {
	b := setup(t, 1)
	root, err := cluster.Root()
	require.NoError(t, err)
	here := clone(t, root)
	there := clone(t, here) // the same commit, even if somebody commits meanwhile
	first, second := b.layersOf(here, "opsrelay:containers-first"), b.layersOf(there, "opsrelay:containers-second")
	require.NotEmpty(t, first)
	require.Equal(t, first, second)
}

// clone is a checkout of the last commit of a repository, in a directory of its
// own.
func clone(t *testing.T, root string) string {
	t.Helper()
	directory := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "git", "clone", "--quiet", "--shared", root, directory).CombinedOutput()
	if err != nil {
		t.Skipf("there is no commit to build: %v\n%s", err, out)
	}
	return directory
}

// layersOf builds the image of the checkout, and lists its layers' digests.
func (b *bundle) layersOf(root, tag string) []string {
	b.Helper()
	source, err := image.ReadSource(b.ctx, root)
	require.NoError(b, err)
	files, err := image.Opsrelay(b.ctx, root, b.TempDir(), source)
	require.NoError(b, err)
	again := func(build *client.ImageBuildOptions) { build.NoCache = true }
	require.NoError(b, b.buildImage(b.ctx, tag, files, source, again))
	built, err := b.docker.ImageInspect(b.ctx, tag)
	require.NoError(b, err)
	_, err = b.docker.ImageRemove(b.ctx, tag, client.ImageRemoveOptions{PruneChildren: true})
	require.NoError(b, err)
	return built.RootFS.Layers
}
