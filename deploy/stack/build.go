// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/opsrelay/opsrelay/deploy/cluster"
)

// Build builds the opsrelay binary of the checkout, with further build tags, for
// tests. Without the race detector it is built as `make build` does, with which
// it shares what go has compiled.
func Build(output string, race bool, tags ...string) error {
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	flags, cgo := []string{"-trimpath"}, "CGO_ENABLED=0"
	if race {
		flags, cgo = []string{"-race"}, "CGO_ENABLED=1"
	}
	flags = append(flags, "-tags="+strings.Join(append([]string{"grpcnotrace"}, tags...), ","), "-o", output)
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "./services/opsrelay")...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build opsrelay: %w\n%s", err, out)
	}
	return nil
}
