// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// startTimeout bounds the start of everything: it takes about 30 s.
const startTimeout = 8 * time.Minute

// stopTimeout bounds the end of everything.
const stopTimeout = time.Minute

// shared is the installation that every test works on, one after the other.
var shared *installation

// notRun says why there is none: no Docker engine.
var notRun error

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if flag.Parse(); testing.Short() {
		return m.Run()
	}
	docker, err := findEngine(context.Background())
	if err != nil {
		return runWithoutEngine(m, err)
	}
	directory, err := os.MkdirTemp("", "opsrelay-containers-")
	if err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	engine, err := newEngine(ctx, docker)
	code := 1
	if err != nil {
		fail(err)
	} else {
		code = runOn(ctx, m, engine, directory)
	}
	ctx, cancel = context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := errors.Join(engine.close(ctx), os.RemoveAll(directory)); err != nil {
		return fail(err)
	}
	return code
}

func runOn(ctx context.Context, m *testing.M, engine *engine, directory string) int {
	if err := buildImages(ctx, engine, directory); err != nil {
		return fail(err)
	}
	var err error
	if shared, err = install(ctx, engine, directory); err != nil {
		return fail(err)
	}
	return m.Run()
}

// howToGet says what to do where there is no engine.
const howToGet = "start one (apt-get install docker.io; dockerd), or name one with DOCKER_HOST; nothing is pulled"

// runWithoutEngine skips every test, unless this is where they have to run.
func runWithoutEngine(m *testing.M, err error) int {
	if os.Getenv("CI") == "true" {
		return fail(fmt.Errorf("with CI=true the tests must run, and there is no Docker engine: %s: %w", howToGet, err))
	}
	notRun = err
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "containers:", err)
	return 1
}
