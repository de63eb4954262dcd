// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// tags leaves gRPC's own tracing pages out, which nobody serves. They are templates,
// which may call any method by its name, so that the linker would have to keep every
// method of every type: a third of the program more, in the file and in memory. The
// tag is gRPC's (trace_notrace.go there says the same).
const tags = "-tags=grpcnotrace"

// BuildBinary builds a static binary of a package of the checkout at root, which
// holds nothing of where it was built. flags are for the linker.
func BuildBinary(ctx context.Context, root, pkg, output, flags string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", tags, "-ldflags=-s -w "+flags, "-o", output, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}
