// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// BuildBinary builds a static binary of a package of the checkout at root, which
// holds nothing of where it was built. flags are for the linker.
func BuildBinary(ctx context.Context, root, pkg, output, flags string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w "+flags, "-o", output, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}
