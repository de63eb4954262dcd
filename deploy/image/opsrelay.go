// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"path/filepath"
)

// authorities is the bundle of certification authorities of this machine, and
// where Go looks for it in the image.
const authorities = "etc/ssl/certs/ca-certificates.crt"

// versionVariable is set to the version when the binary is linked.
const versionVariable = "github.com/opsrelay/opsrelay/services/runtime.version"

// Opsrelay builds the opsrelay binary of the checkout at root into directory and
// returns the context of its image.
func Opsrelay(ctx context.Context, root, directory string, source Source) (Context, error) {
	binary := filepath.Join(directory, "opsrelay")
	if err := BuildBinary(ctx, root, "./services/opsrelay", binary, "-X "+versionVariable+"="+source.Version); err != nil {
		return Context{}, err
	}
	return Context{
		Dockerfile: filepath.Join(root, "deploy", "Dockerfile"),
		Time:       source.Time,
		Files: []File{
			{Path: "opsrelay", Mode: 0o755, From: binary},
			{Path: "LICENSE", Mode: 0o644, From: filepath.Join(root, "LICENSE")},
			{Path: authorities, Mode: 0o644, From: "/" + authorities},
		},
	}, nil
}
