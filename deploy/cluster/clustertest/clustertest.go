// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package clustertest gives the tests of a package a development cluster.
package clustertest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/opsrelay/opsrelay/deploy/cluster"
)

// Run starts a development cluster, installs the definitions, puts the cluster
// into development, runs the package's tests and returns their exit code, for
// TestMain to exit with. Where no development cluster is built, development
// stays nil: the tests that need none run, and the others are to fail with
// [cluster.ErrNotBuilt]. With -short none is started, and they are to be skipped.
func Run(m *testing.M, definitions fs.FS, development **cluster.Cluster) int {
	code, err := run(m, definitions, development)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func run(m *testing.M, definitions fs.FS, development **cluster.Cluster) (code int, err error) {
	if flag.Parse(); testing.Short() {
		return m.Run(), nil
	}
	started, err := cluster.Start(context.Background(), cluster.Options{Fast: true})
	if errors.Is(err, cluster.ErrNotBuilt) {
		return m.Run(), nil
	}
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, started.Stop()) }()
	if err := cluster.InstallCRDs(context.Background(), started.Config(), definitions); err != nil {
		return 1, err
	}
	*development = started
	return m.Run(), nil
}
