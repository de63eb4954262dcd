// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// A step whose deadline passes while the broker is away has been done, and cannot
// be told: when the broker is back, its timer is due at once, and the request must
// not fail before the step's word has come.
func TestD22_AStepThatTheBrokerKeptFromAnsweringIsNotOverdue(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT}
	broker := bustest.StartIn(t, options, directory)
	connect := func(name string) *bus.Bus {
		b, err := bus.Connect(bustest.Context(t), bus.Config{Name: name, URL: broker.ClientURL()})
		require.NoError(t, err)
		t.Cleanup(func() { _ = b.Close(bustest.Context(t)) })
		return b
	}
	watcher, worker := connect("watcher"), connect("pauser")
	b := &bundle{bus: watcher, chain: watcher.Chain("watcher"), ctx: bustest.Context(t)}
	require.NoError(t, bus.Provision(b.ctx, watcher.JetStream(), 1))
	run(t, watcher.NewRunner(bus.RunnerConfig{Consumer: events.TimeoutConsumer, Source: "watcher"}))
	operation := requested("u1").Operation
	operation.StepTimeout = events.SecondsOf(time.Second)
	first, err := b.chain.Begin(b.ctx, events.First(events.Requested, "singlestore", operation))
	require.NoError(t, err)

	options.Port = broker.Addr().(*net.TCPAddr).Port
	broker.Shutdown()
	broker.WaitForShutdown()
	time.Sleep(time.Until(first.Operation.Deadline.Add(17 * time.Second))) // the timer is due after ten: this is what is tried
	bustest.StartIn(t, options, directory)
	require.Eventually(t, func() bool {
		timeouts, err := watcher.JetStream().Consumer(b.ctx, events.Stream, events.TimeoutConsumer.Name)
		return err == nil && timeouts.CachedInfo().Delivered.Consumer > 1
	}, patience, tick, "the timer was not judged")
	require.Equal(t, events.Requested, b.last(t, first).Fact)
	require.Eventually(t, func() bool { // it may still be reconnecting
		_, err := worker.Chain("pauser").Follow(b.ctx, first, first.Next(events.Paused))
		return err == nil
	}, patience, tick, "the step's word does not come")
}
