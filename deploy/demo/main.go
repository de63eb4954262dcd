// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Demo shows Opsrelay at work: it starts a development cluster and `opsrelay
// up`, creates the Singlestore of KubeDB's guide, expands its volumes, and shows
// the relay live. `make demo` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	d := &demo{out: os.Stdout, in: os.Stdin}
	flag.BoolVar(&d.keep, "keep", false, "leave everything running, and print how to use and stop it")
	flag.StringVar(&d.cluster, "cluster", "", `"current" uses the current context of your kubeconfig, after asking; default: a development cluster`)
	flag.StringVar(&d.binary, "opsrelay", "", "opsrelay binary (default: bin/opsrelay of the checkout)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := d.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demoTimeout bounds the whole: an idle machine needs some ten seconds.
const demoTimeout = 5 * time.Minute

// run is the demo from beginning to end. What it started is stopped, unless it
// is to be kept.
func (d *demo) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	if d.cluster != "" && d.cluster != "current" {
		return fmt.Errorf("--cluster=%s: only \"current\" is known", d.cluster)
	}
	if d.directory, err = os.MkdirTemp("", "opsrelay-demo-"); err != nil {
		return err
	}
	defer func() {
		if err == nil && d.keep {
			d.printKept()
			return
		}
		if err != nil {
			d.say("logs of the failed run: %s", d.directory)
		}
		err = errors.Join(err, d.stop())
		if err == nil {
			err = os.RemoveAll(d.directory)
		}
	}()
	for _, step := range []func(context.Context) error{
		d.startCluster, d.install, d.startRelay, d.createDatabase, d.expand,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
