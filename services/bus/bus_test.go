// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// patience is how long a test waits for what should take milliseconds.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is what most tests start from: a broker of their own and one chain.
type bundle struct {
	bus   *bus.Bus
	chain *bus.Chain
	ctx   context.Context
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := bustest.Connect(t, "test")
	return &bundle{bus: b, chain: b.Chain("watcher"), ctx: bustest.Context(t)}
}

// requested is the first event of a chain that is not stored.
func requested(uid string) events.Event {
	return events.First(events.Requested, "singlestore", events.Operation{
		Request:     events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: "grow", UID: uid},
		Database:    events.Reference{Kind: "Singlestore", Namespace: "demo", Name: "db", UID: "db-uid"},
		Mode:        events.Online,
		StepTimeout: events.SecondsOf(time.Hour),
		MaxRetries:  5,
	})
}

// begin stores the first event of a chain.
func (b *bundle) begin(t *testing.T, uid string) events.Event {
	t.Helper()
	first, err := b.chain.Begin(b.ctx, requested(uid))
	require.NoError(t, err)
	return first
}

// follow stores the next event of a chain.
func (b *bundle) follow(t *testing.T, previous events.Event, fact events.Fact) events.Event {
	t.Helper()
	next, err := b.chain.Follow(b.ctx, previous, previous.Next(fact))
	require.NoError(t, err)
	return next
}

// last is the fact that the chain ends with now.
func (b *bundle) last(t *testing.T, e events.Event) events.Event {
	t.Helper()
	last, err := b.chain.Last(b.ctx, e.ChainKey())
	require.NoError(t, err)
	return last
}

// becomes waits until the chain ends with the fact.
func (b *bundle) becomes(t *testing.T, e events.Event, fact events.Fact) events.Event {
	t.Helper()
	require.Eventually(t, func() bool { return b.last(t, e).Fact == fact }, patience, tick, "the chain does not become %s", fact)
	return b.last(t, e)
}

// idle waits until the consumer has nothing left, neither pending nor delivered.
func (b *bundle) idle(t *testing.T, consumer events.Consumer) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := b.bus.JetStream().Consumer(b.ctx, consumer.Stream, consumer.Name)
		require.NoError(t, err)
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	}, patience, tick, "consumer %s has something left", consumer.Name)
}

// run runs a runner until the test ends or the returned function is called.
func run(t *testing.T, runner *bus.Runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, <-done)
	}
	t.Cleanup(stop)
	return stop
}

// pauser is a step that answers requested with paused at once.
var pauser = bus.StepFunc(func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
	return e.Next(events.Paused), nil
})

// receive waits for a value of a channel.
func receive[T any](t *testing.T, values <-chan T) T {
	t.Helper()
	select {
	case value := <-values:
		return value
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("not reached")
	}
}

// tick is how often a condition is looked at.
const tick = 5 * time.Millisecond

// brokers are the kinds of broker on which a fact about it has to hold.
func brokers() map[string]func(t *testing.T) *bundle {
	return map[string]func(t *testing.T) *bundle{
		"R1": setup,
		"R3": func(t *testing.T) *bundle {
			b := bustest.Cluster(t).Connect(t, 1, "test")
			return &bundle{bus: b, chain: b.Chain("watcher"), ctx: bustest.Context(t)}
		},
	}
}

// facts are those of the chain up to the event.
func facts(e events.Event) []events.Fact {
	var facts []events.Fact
	for _, passed := range e.Operation.History {
		facts = append(facts, passed.Fact)
	}
	return facts
}

// counters are the values of a counter that are not 0, by their labels' values.
func counters(t *testing.T, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			values[strings.Join(labels, " ")] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return values
}
