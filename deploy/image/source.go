// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// EpochEnv is the environment variable that sets the time of all files, in
// seconds since 1970: https://reproducible-builds.org/specs/source-date-epoch/
const EpochEnv = "SOURCE_DATE_EPOCH"

// Source is what a build is made of.
type Source struct {
	// Version is the release's tag, or the commit; "-dirty" ends it when there
	// are changes that are in no commit.
	Version string
	// Revision is the commit.
	Revision string
	// Time is the commit's.
	Time time.Time
}

// ReadSource asks git about the checkout at root. Outside of a repository, where
// only SOURCE_DATE_EPOCH can tell the time, the version is "devel".
func ReadSource(ctx context.Context, root string) (Source, error) {
	source := Source{Version: "devel", Time: time.Unix(0, 0).UTC()}
	seconds := os.Getenv(EpochEnv)
	if revision, err := git(ctx, root, "rev-parse", "HEAD"); err == nil {
		source.Revision = revision
		if source.Version, err = git(ctx, root, "describe", "--tags", "--always", "--dirty"); err != nil {
			return Source{}, err
		}
		if seconds == "" {
			if seconds, err = git(ctx, root, "log", "-1", "--format=%ct"); err != nil {
				return Source{}, err
			}
		}
	}
	if seconds != "" {
		epoch, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return Source{}, fmt.Errorf("the time of the build (%s) is %q, want seconds since 1970: %w", EpochEnv, seconds, err)
		}
		source.Time = time.Unix(epoch, 0).UTC()
	}
	return source, nil
}

// Args are the build arguments of deploy/Dockerfile.
func (s Source) Args() map[string]string {
	return map[string]string{"VERSION": s.Version, "REVISION": s.Revision, "CREATED": s.Time.Format(time.RFC3339)}
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
