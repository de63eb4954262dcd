// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/deploy/base"
	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/controllers"
	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// patience is how long a test waits for what should take milliseconds, tick how
// often it looks.
const (
	patience = 30 * time.Second
	tick     = 10 * time.Millisecond
)

// development is the cluster of all tests; nil where none is built, and with -short.
var development *cluster.Cluster

// binary is the opsrelay binary, as it is in the image. With -short there is none.
var binary string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if flag.Parse(); testing.Short() {
		return m.Run(), nil
	}
	directory, err := os.MkdirTemp("", "opsrelay-manifests-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	binary = filepath.Join(directory, "opsrelay")
	if err := stack.Build(binary, false); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	started, err := cluster.Start(ctx, cluster.Options{Fast: true})
	if errors.Is(err, cluster.ErrNotBuilt) {
		return m.Run(), nil
	}
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, started.Stop()) }()
	if err := install(ctx, started); err != nil {
		return 1, err
	}
	development = started
	return m.Run(), nil
}

// install makes the cluster one with KubeDB's definitions, which have no rules
// of their own, and the rights of every service.
func install(ctx context.Context, c *cluster.Cluster) error {
	definitions, err := withoutRules(cluster.Definitions())
	if err != nil {
		return err
	}
	if err := cluster.InstallCRDs(ctx, c.Config(), definitions); err != nil {
		return err
	}
	if err := cluster.Apply(ctx, c.Config(), base.FS); err != nil {
		return err
	}
	return cluster.Apply(ctx, c.Config(), controllers.FS)
}

// withoutRules returns the definitions without what only ours have.
func withoutRules(definitions fs.FS) (fs.FS, error) {
	stripped := fstest.MapFS{}
	return stripped, fs.WalkDir(definitions, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(definitions, path)
		if err != nil {
			return err
		}
		var definition any
		if err := yaml.Unmarshal(data, &definition); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		strip(definition, "x-kubernetes-validations")
		data, err = yaml.Marshal(definition)
		stripped[path] = &fstest.MapFile{Data: data}
		return err
	})
}

// strip removes a key wherever it is.
func strip(value any, key string) {
	switch value := value.(type) {
	case map[string]any:
		delete(value, key)
		for _, child := range value {
			strip(child, key)
		}
	case []any:
		for _, child := range value {
			strip(child, key)
		}
	}
}

// needCluster fails a test where no development cluster is built.
func needCluster(t *testing.T) {
	t.Helper()
	notrun.SkipShort(t)
	require.NotNil(t, development, cluster.ErrNotBuilt.Error())
}

// administrator may do everything.
func administrator(t *testing.T) (kubernetes.Interface, dynamic.Interface) {
	t.Helper()
	needCluster(t)
	return clients(t, "")
}

// clients are those of the given user; nobody means the administrator.
func clients(t *testing.T, user string) (kubernetes.Interface, dynamic.Interface) {
	t.Helper()
	config := development.Config()
	config.Impersonate.UserName = user
	core, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	objects, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return core, objects
}
