// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// A hop of the relay is what comes between the answer of one step and that of
// the next: publish, pull, find that the chain has not gone on, answer; beside it
// the message before is acknowledged. It is read off
// the facts' own times in chains whose steps do nothing, every service on a
// connection of its own. The bare broker publishes as large a message into a
// stream of the same configuration, pulls it and double-acknowledges it. They
// take turns.

// hopsPerChain is how many hops a successful chain has between its steps: paused,
// expanded, updated, resumed.
const hopsPerChain = 3

// hopTimeout bounds one hop: it takes a millisecond.
const hopTimeout = time.Minute

// bareStream is that of the bare broker.
const bareStream = "BARE"

// relayHops are four services that do nothing.
type relayHops struct {
	chain *bus.Chain
	ended chan struct{} // a chain has ended
}

// barePath is the same way without a relay.
type barePath struct {
	js       jetstream.JetStream
	messages jetstream.MessagesContext
	payload  []byte
}

// measureHop measures hops against the bare broker.
func measureHop(ctx context.Context, mode natsMode, hops int, out io.Writer) (err error) {
	if mode == natsEmbedded {
		return errors.New("-nats embedded: a hop is measured between processes; choose r1, r3 or always")
	}
	directory, err := os.MkdirTemp("", "opsrelay-hop-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	brokers, err := startBrokers(ctx, mode, directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, brokers.stop()) }()

	group, groupCtx := errgroup.WithContext(zerolog.Nop().WithContext(ctx))
	groupCtx, end := context.WithCancel(groupCtx)
	group.Go(func() error {
		defer end()
		return takeTurns(groupCtx, group, brokers.URL, mode, hops, out)
	})
	return group.Wait()
}

// takeTurns measures a bare hop for each of the relay's.
func takeTurns(ctx context.Context, group *errgroup.Group, url string, mode natsMode, hops int, out io.Writer) error {
	relay, err := startRelay(ctx, group, url, mode.replicas())
	if err != nil {
		return err
	}
	bare, err := startBare(ctx, url, mode.replicas())
	if err != nil {
		return err
	}
	const warmUp = 20
	chains := max(hops/hopsPerChain, 1)
	var relayTimes, bareTimes []time.Duration
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for i := range chains + warmUp {
		hops, err := relay.chainOnce(ctx, i)
		if err != nil {
			return err
		}
		var list []time.Duration
		for range hopsPerChain {
			took, err := bare.once(ctx)
			if err != nil {
				return err
			}
			list = append(list, took)
		}
		if i >= warmUp {
			relayTimes, bareTimes = append(relayTimes, hops...), append(bareTimes, list...)
		}
		select {
		case <-ticker.C:
			fmt.Fprintf(os.Stderr, "  %d of %d hops\n", i*hopsPerChain, chains*hopsPerChain)
		default:
		}
	}
	return tellHops(out, mode, relayTimes, bareTimes)
}

func tellHops(out io.Writer, mode natsMode, relay, bare []time.Duration) error {
	slices.Sort(relay)
	slices.Sort(bare)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "HOP, NATS %s\tP50\tP95\tP99\n", mode) // Flush tells of errors
	for _, line := range []struct {
		name  string
		times []time.Duration
	}{{"bare broker", bare}, {"relay", relay}} {
		_, _ = fmt.Fprintf(table, "%s\t%.3f ms\t%.3f ms\t%.3f ms\n", line.name, millis(percentile(line.times, 50)), millis(percentile(line.times, 95)), millis(percentile(line.times, 99)))
	}
	_, _ = fmt.Fprintf(table, "ratio\t%.2f\t%.2f\t%.2f\n", ratio(relay, bare, 50), ratio(relay, bare, 95), ratio(relay, bare, 99))
	return table.Flush()
}

func millis(d time.Duration) float64 { return d.Seconds() * 1000 }

func ratio(a, b []time.Duration, p int) float64 {
	return percentile(a, p).Seconds() / percentile(b, p).Seconds()
}

// startRelay runs the relay's services, with steps that answer at once.
func startRelay(ctx context.Context, group *errgroup.Group, url string, replicas int) (*relayHops, error) {
	connect := func(name string) (*bus.Bus, error) {
		b, err := bus.Connect(ctx, bus.Config{URL: url, Name: name})
		if err == nil {
			context.AfterFunc(ctx, b.JetStream().Conn().Close)
		}
		return b, err
	}
	b, err := connect("bench")
	if err != nil {
		return nil, err
	}
	if err := bus.Provision(ctx, b.JetStream(), replicas); err != nil {
		return nil, err
	}
	answers := map[events.Fact]events.Fact{
		events.Requested: events.Paused, events.Paused: events.Expanded, events.Expanded: events.Updated, events.Updated: events.Resumed,
	}
	step := bus.StepFunc(func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
		return e.Next(answers[e.Fact]), nil
	})
	for _, consumer := range []events.Consumer{events.PauserConsumer, events.ExpanderConsumer, events.UpdaterConsumer} {
		service, err := connect(consumer.Name)
		if err != nil {
			return nil, err
		}
		runner := service.NewRunner(bus.RunnerConfig{Consumer: consumer, Step: step, Source: consumer.Name})
		group.Go(func() error {
			if err := runner.Run(ctx); ctx.Err() == nil {
				return err
			}
			return nil // it ends because the connection does
		})
	}
	r := &relayHops{chain: b.Chain("watcher"), ended: make(chan struct{}, 1)}
	_, err = b.JetStream().Conn().Subscribe(events.LiveFilter(events.Resumed), func(*nats.Msg) { r.ended <- struct{}{} })
	return r, err
}

// chainOnce takes the times of one chain.
func (r *relayHops) chainOnce(ctx context.Context, i int) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, hopTimeout)
	defer cancel()
	op := operation(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i))
	first, err := r.chain.Begin(ctx, events.First(events.Requested, "singlestore", op))
	if err != nil {
		return nil, err
	}
	select {
	case <-r.ended:
	case <-ctx.Done():
		return nil, fmt.Errorf("chain %d did not end: %w", i, context.Cause(ctx))
	}
	last, err := r.chain.Last(ctx, first.ChainKey())
	if err != nil {
		return nil, err
	}
	var hops []time.Duration
	answers := last.Operation.History[1:]
	for j, answer := range answers[1:] {
		hops = append(hops, answer.Time.Sub(answers[j].Time))
	}
	return hops, nil
}

// operation is a payload of the usual size.
func operation(uid string) events.Operation {
	volumes := func(names ...string) (list []events.Volume) {
		for _, name := range names {
			list = append(list, events.Volume{Claim: name, Capacity: "10Gi"})
		}
		return list
	}
	return events.Operation{
		Request:  events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "bench", Name: "grow", UID: uid, Generation: 1},
		Database: events.Reference{Kind: "Singlestore", Namespace: "bench", Name: "db", UID: uid, Generation: 1},
		Mode:     events.Online, StepTimeout: events.SecondsOf(30 * time.Minute), MaxRetries: 1,
		Components: []events.Component{
			{Name: "aggregator", Workload: "db-aggregator", From: "10Gi", To: "11Gi", Volumes: volumes("data-db-aggregator-0")},
			{Name: "leaf", Workload: "db-leaf", From: "10Gi", To: "11Gi", Volumes: volumes("data-db-leaf-0", "data-db-leaf-1")},
		},
	}
}

// startBare makes a stream like that of the chains, and a consumer of it.
func startBare(ctx context.Context, url string, replicas int) (*barePath, error) {
	publisher, err := bareConnection(ctx, url)
	if err != nil {
		return nil, err
	}
	reader, err := bareConnection(ctx, url)
	if err != nil {
		return nil, err
	}
	config := events.Streams(replicas)[0]
	config.Name, config.Subjects, config.RePublish = bareStream, []string{"bare.>"}, nil
	if _, err := publisher.CreateStream(ctx, config); err != nil {
		return nil, err
	}
	consumer, err := reader.CreateConsumer(ctx, bareStream, jetstream.ConsumerConfig{Durable: "bare", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, messages.Stop)
	message, err := events.Encode(events.First(events.Requested, "singlestore", operation("00000000-0000-4000-8000-000000000000")))
	if err != nil {
		return nil, err
	}
	return &barePath{js: publisher, messages: messages, payload: message.Data}, nil
}

func bareConnection(ctx context.Context, url string) (jetstream.JetStream, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, conn.Close)
	return jetstream.New(conn)
}

// once takes the time of one message.
func (b *barePath) once(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, hopTimeout)
	defer cancel()
	began := time.Now()
	if _, err := b.js.Publish(ctx, "bare.hop", b.payload); err != nil {
		return 0, err
	}
	message, err := b.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return 0, err
	}
	err = message.DoubleAck(ctx)
	return time.Since(began), err
}
