// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"time"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/bus"
)

// bench is one measurement: one cluster, one number of databases.
type bench struct {
	*config

	n         int
	directory string
	stack     *stack.Stack
	brokers   *brokers
	bus       *bus.Bus
	view      *view
	audit     *auditLog
	size      int                 // of the volumes that grow, in GiB
	claims    map[string][]string // those that grow, by database
	pods      map[string][]string // those that use them, by database
	owner     map[string]string   // the database of such a claim
}

// measure starts everything for n databases, and measures the pairs.
func (c *config) measure(ctx context.Context, n int) (_ *result, err error) {
	ctx, cancel := context.WithCancel(ctx)
	b := &bench{config: c, n: n, size: firstGi}
	if b.directory, err = os.MkdirTemp("", "opsrelay-bench-"); err != nil {
		cancel()
		return nil, err
	}
	defer func() {
		cancel() // the API server waits for who watches
		err = errors.Join(err, b.stop())
		if err == nil {
			err = os.RemoveAll(b.directory)
		} else {
			err = fmt.Errorf("%w; logs: %s", err, b.directory)
		}
	}()
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	return b.pairUp(ctx)
}

// start starts cluster, broker and services, and makes the databases.
func (b *bench) start(ctx context.Context) (err error) {
	fmt.Fprintf(os.Stderr, "  N=%d: starting a cluster ...\n", b.n)
	if b.brokers, err = startBrokers(ctx, b.nats, b.directory); err != nil {
		return err
	}
	args := append([]string{"--log-level=info"}, b.args...)
	options := stack.Options{
		Directory: b.directory, Binary: b.binary, Replicas: b.replicas, AuditReads: true, Attach: b.shape.offline(),
		NATS: b.brokers.URL, NATSReplicas: b.nats.replicas(), Args: map[string][]string{},
	}
	for _, service := range append(append([]string{}, stack.Relay...), stack.KubeDB...) {
		options.Args[service] = args
	}
	if b.stack, err = stack.Start(ctx, options); err != nil {
		return err
	}
	if b.bus, err = b.stack.Connect(ctx, "bench"); err != nil {
		return err
	}
	b.view, b.audit = newView(b.stack.Clients, b.shape.offline()), &auditLog{path: b.stack.Cluster.AuditLog}
	if b.shape.offline() {
		if err := b.stack.Cluster.SetFault(ctx, cluster.AllVolumes, cluster.Fault{OfflineOnly: true}); err != nil {
			return err
		}
	}
	return b.createDatabases(ctx)
}

func (b *bench) stop() error {
	var failures []error
	if b.bus != nil {
		failures = append(failures, b.bus.Close(context.Background()))
	}
	if b.stack != nil {
		failures = append(failures, b.stack.Stop())
	}
	if b.brokers != nil {
		failures = append(failures, b.brokers.stop())
	}
	return errors.Join(failures...)
}

// pairUp has floor and Opsrelay take turns. The first pair only warms up.
func (b *bench) pairUp(ctx context.Context) (*result, error) {
	r := &result{
		Time: time.Now().UTC(), Machine: machine(), N: b.n, Shape: b.shape.name, Replicas: b.replicas, NATS: string(b.nats),
		IdleSeconds: b.idleFor.Seconds(), WaitingSeconds: b.waitFor.Seconds(), VolumesPerDatabase: len(b.claims[b.names()[0]]),
	}
	pairs, least := b.pairsFor(b.n), b.floor
	if b.shape.offline() {
		least = b.restart
	}
	for i := range pairs + 1 {
		floor, err := b.round(ctx, "floor", least)
		if err != nil {
			return nil, err
		}
		if i == 1 {
			if err := b.rest(ctx, r); err != nil {
				return nil, err
			}
		}
		relay, err := b.round(ctx, "opsrelay", b.relay)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "  N=%d: pair %d of %d: floor %s, opsrelay %s\n", b.n, i, pairs, brief(floor.Makespan), brief(relay.Makespan))
		if i > 0 {
			r.Pairs = append(r.Pairs, pair{Floor: floor, Opsrelay: relay})
		}
	}
	r.summarize()
	return r, nil
}

// rest measures what the relay costs while it has nothing to do, and, where that is
// asked for, while it can but wait.
func (b *bench) rest(ctx context.Context, r *result) (err error) {
	if r.Idle, err = b.idle(ctx); err != nil || b.waitFor == 0 {
		return err
	}
	waiting, err := b.waiting(ctx)
	r.Waiting = &waiting
	return err
}

// round measures one turn, and what it cost everybody.
func (b *bench) round(ctx context.Context, name string, turn func(context.Context, *race) (*round, error)) (*round, error) {
	if err := b.view.quiet(ctx); err != nil {
		return nil, err
	}
	before, err := b.look(ctx, true)
	if err != nil {
		return nil, err
	}
	race := newRace(b.n)
	r, err := turn(ctx, race)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := b.view.quiet(ctx); err != nil { // what comes after the end is paid for, too
		return nil, err
	}
	after, err := b.look(ctx, false)
	if err != nil {
		return nil, err
	}
	latencies := race.latencies()
	r.Makespan = seconds(race.makespan())
	r.P50, r.P95, r.P99 = seconds(percentile(latencies, 50)), seconds(percentile(latencies, 95)), seconds(percentile(latencies, 99))
	r.Cost = after.since(before)
	b.size++
	return r, b.forgetRequests(ctx)
}

// sight is what a round starts from and ends with.
type sight struct {
	requests requests
	messages map[string]uint64
	usage    map[string]usage
}

// look reads all counters; the audit log since it was last read.
func (b *bench) look(ctx context.Context, again bool) (sight, error) {
	s := sight{usage: map[string]usage{}}
	var err error
	if s.requests, err = b.audit.next(); err != nil {
		return s, err
	}
	if s.messages, err = b.messages(ctx); err != nil {
		return s, err
	}
	for name, pid := range b.pids() {
		if s.usage[name], err = readUsage(pid); err != nil {
			return s, fmt.Errorf("what %s has used: %w", name, err)
		}
		if !again {
			continue
		}
		if err := forgetPeak(pid); err != nil {
			return s, fmt.Errorf("what %s has used: %w", name, err)
		}
	}
	return s, nil
}

// since is the cost between two sights.
func (s sight) since(before sight) cost {
	c := cost{Requests: s.requests, Messages: map[string]uint64{}, Usage: map[string]usage{}}
	for name, last := range s.messages {
		c.Messages[name] = last - before.messages[name]
	}
	for name, u := range s.usage {
		u.CPU -= before.usage[name].CPU
		c.Usage[name] = u
	}
	return c
}

// pids are the processes that are looked at.
func (b *bench) pids() map[string]int {
	pids := b.brokers.pids()
	for _, name := range append(b.stack.Names(), stack.KubeDB...) {
		pids[name] = b.stack.PID(name)
	}
	pids["cluster"] = b.stack.Cluster.PID()
	return pids
}

// messages are the numbers that the streams have given so far.
func (b *bench) messages(ctx context.Context) (map[string]uint64, error) {
	counts := map[string]uint64{}
	for info := range streams(ctx, b.bus) {
		counts[info.Config.Name] = info.State.LastSeq
	}
	return counts, ctx.Err()
}

// idle is what the relay costs with nothing to do.
func (b *bench) idle(ctx context.Context) (cost, error) {
	if err := b.view.quiet(ctx); err != nil {
		return cost{}, err
	}
	return b.lookFor(ctx, b.idleFor)
}

// lookFor is what everything costs from now on for so long.
func (b *bench) lookFor(ctx context.Context, span time.Duration) (cost, error) {
	before, err := b.look(ctx, true)
	if err != nil {
		return cost{}, err
	}
	select {
	case <-time.After(span):
	case <-ctx.Done():
		return cost{}, context.Cause(ctx)
	}
	after, err := b.look(ctx, false)
	if err != nil {
		return cost{}, err
	}
	return after.since(before), nil
}

func processors() int   { return runtime.NumCPU() }
func goVersion() string { return runtime.Version() }

// seconds is a duration as JSON has it.
func seconds(d time.Duration) float64 { return d.Seconds() }

func brief(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.2f s", s)
}

func sum[K comparable](counts map[K]uint64) uint64 {
	var total uint64
	for count := range maps.Values(counts) {
		total += count
	}
	return total
}
