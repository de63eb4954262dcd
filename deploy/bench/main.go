// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures how much longer Opsrelay takes than is needed at the
// least, and what it costs.
//
// The least is the floor: a plain client that patches every claim and watches
// until all have grown, without pause, template, status or broker. Floor and
// Opsrelay take turns on the same databases of the same cluster, so that what a
// busy machine does to one it does to the other: a ratio within a run means
// something on any machine, a time only on an idle one.
//
//	make bench [N=1,10,100] [PAIRS=5] [SHAPE=one] [REPLICAS=1] [NATS=r1]
//	make bench-hop [NATS=r1]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// config is what to measure.
type config struct {
	sizes    []int
	pairs    int
	shape    shape
	replicas int
	nats     natsMode
	binary   string
	out      string
	idleFor  time.Duration // how long a relay with nothing to do is looked at
	waitFor  time.Duration // how long one whose volumes do not grow is; 0 for not at all
	args     []string      // flags of every service of the relay
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == brokerCommand {
		exit(runBroker(os.Args[2:]))
	}
	var c config
	var sizes, shapeName, mode, args string
	var hop int
	flag.StringVar(&sizes, "n", "1,10,100", "numbers of databases, one measurement each")
	flag.IntVar(&c.pairs, "pairs", 0, "how often floor and Opsrelay take turns (default: 20 for N=1, 5 up to 100, else 2)")
	flag.StringVar(&shapeName, "shape", "one", "what grows: "+strings.Join(shapeNames(), ", "))
	flag.IntVar(&c.replicas, "replicas", 1, "processes of each service")
	flag.StringVar(&mode, "nats", string(natsR1), "r1: one server; r3: a cluster of three; always: one that waits for the disk at each message; embedded: one in the bench's own process")
	flag.StringVar(&c.binary, "opsrelay", "bin/opsrelay", "opsrelay binary")
	flag.DurationVar(&c.idleFor, "idle", 5*time.Second, "how long a relay that has nothing to do is looked at")
	flag.DurationVar(&c.waitFor, "wait", 0, "how long a relay is looked at whose requests all wait for their storage; 0 for not at all")
	flag.StringVar(&c.out, "out", "artifacts/bench", "directory for results")
	flag.StringVar(&args, "args", "", "flags that every service of the relay is started with besides")
	flag.IntVar(&hop, "hop", 0, "measure this many hops of the relay against the bare broker, and nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := c.parse(sizes, shapeName, mode, args)
	switch {
	case err != nil:
	case hop > 0:
		err = measureHop(ctx, c.nats, hop, os.Stdout)
	default:
		err = c.run(ctx)
	}
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (c *config) parse(sizes, shapeName, mode, args string) error {
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return fmt.Errorf("-n %s: %q is no number of databases", sizes, text)
		}
		c.sizes = append(c.sizes, n)
	}
	var ok bool
	if c.shape, ok = shapes[shapeName]; !ok {
		return fmt.Errorf("-shape %s: known are %s", shapeName, strings.Join(shapeNames(), ", "))
	}
	c.nats, c.args = natsMode(mode), strings.Fields(args)
	if c.replicas < 1 {
		return fmt.Errorf("-replicas %d: at least one", c.replicas)
	}
	if c.waitFor > 0 && c.shape.offline() {
		return fmt.Errorf("-wait %s: Offline, volumes are asked for one after the other, and never all wait; choose another -shape", c.waitFor)
	}
	return c.nats.check()
}

// run measures each size on a cluster of its own.
func (c *config) run(ctx context.Context) error {
	if err := os.MkdirAll(c.out, 0o750); err != nil {
		return err
	}
	for _, n := range c.sizes {
		result, err := c.measure(ctx, n)
		if err != nil {
			return fmt.Errorf("%d databases: %w", n, err)
		}
		fmt.Print(result.table())
		base := filepath.Join(c.out, fmt.Sprintf("%s-n%d-%s-x%d-%s", time.Now().Format("20060102-150405"), n, c.shape.name, c.replicas, c.nats))
		if err := result.write(base); err != nil {
			return err
		}
		fmt.Printf("\nwritten: %s.json, %s.svg\n\n", base, base)
	}
	return nil
}

// pairsFor is how many pairs are measured of a size.
func (c *config) pairsFor(n int) int {
	switch {
	case c.pairs > 0:
		return c.pairs
	case n == 1:
		return 20
	case n <= 100:
		return 5
	default:
		return 2
	}
}
