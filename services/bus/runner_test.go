// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// shortAckWait is how soon the tests give the work of a dead worker to another.
const shortAckWait = 600 * time.Millisecond

// holder is a step that holds each event until it is told to go on, or its
// context ends.
type holder struct {
	bus.Step
	began    chan events.Event
	goOn     chan struct{}
	ended    chan error
	released chan events.Event
}

func newHolder() *holder {
	return &holder{
		began: make(chan events.Event, 100), goOn: make(chan struct{}),
		ended: make(chan error, 100), released: make(chan events.Event, 100),
	}
}

func (h *holder) Handle(ctx context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
	h.began <- e
	select {
	case <-h.goOn:
		return e.Next(events.Paused), nil
	case <-ctx.Done():
		h.ended <- context.Cause(ctx)
		return events.Event{}, ctx.Err()
	}
}

func (h *holder) Release(_ context.Context, e, _ events.Event) error {
	h.released <- e
	return nil
}

// counter is a pauser that counts its calls and releases.
type counter struct{ handled, released atomic.Int32 }

func (c *counter) Handle(ctx context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
	c.handled.Add(1)
	return pauser(ctx, e, nil)
}

func (c *counter) Release(_ context.Context, _, last events.Event) error {
	if last.Fact != "" {
		c.released.Add(1)
	}
	return nil
}

func (b *bundle) runner(step bus.Step) *bus.Runner {
	return b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: step, Source: "pauser"})
}

// deliver takes the next message of the consumer as a worker would that says
// nothing more.
func (b *bundle) deliver(t *testing.T, consumer events.Consumer) jetstream.Msg {
	t.Helper()
	c, err := b.bus.JetStream().Consumer(b.ctx, consumer.Stream, consumer.Name)
	require.NoError(t, err)
	msg, err := c.Next(jetstream.FetchMaxWait(patience))
	require.NoError(t, err)
	return msg
}

func TestAStepIsCalledAndItsAnswerIsPublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run(t, b.runner(pauser))
	first := b.begin(t, "u1")
	paused := b.becomes(t, first, events.Paused)
	require.Equal(t, "pauser", paused.Source)
	b.idle(t, events.PauserConsumer)
}

// A worker that died after it had published, or whose acknowledgement was lost,
// left its event to another: that one finds the chain gone on.
func TestRedeliveryAfterALostAck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bustest.AckWait(t, b.bus, events.PauserConsumer, shortAckWait)
	first := b.begin(t, "u1")
	b.deliver(t, events.PauserConsumer)
	paused := b.follow(t, first, events.Paused)

	step := &counter{}
	run(t, b.runner(step))
	b.idle(t, events.PauserConsumer)
	require.Zero(t, step.handled.Load(), "the effect is repeated for nothing")
	require.Zero(t, step.released.Load(), "what a live request holds is taken from it")
	require.Equal(t, paused, b.last(t, first))
}

func TestTakeOverAfterADeadWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bustest.AckWait(t, b.bus, events.PauserConsumer, shortAckWait)
	other := bustest.Connect(t, "other")

	dying := newHolder()
	died := make(chan error, 1)
	go func() {
		died <- other.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: dying, Source: "pauser"}).Run(context.Background())
	}()
	// Provisioning for the other connection has set the AckWait back.
	bustest.AckWait(t, b.bus, events.PauserConsumer, shortAckWait)
	first := b.begin(t, "u1")
	receive(t, dying.began)
	other.JetStream().Conn().Close()
	require.Error(t, receive(t, died), "a worker without a connection must end")

	run(t, b.runner(pauser))
	b.becomes(t, first, events.Paused)
	b.idle(t, events.PauserConsumer)
}

// A worker that lives keeps its event, however long it takes.
func TestALongStepIsNotGivenToAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bustest.AckWait(t, b.bus, events.PauserConsumer, shortAckWait)
	step := newHolder()
	run(t, b.runner(step))
	run(t, b.runner(step))
	first := b.begin(t, "u1")
	receive(t, step.began)
	select {
	case <-step.began:
		require.Fail(t, "the event was given to another worker")
	case <-time.After(3 * shortAckWait):
	}
	close(step.goOn)
	b.becomes(t, first, events.Paused)
}

func TestShutdownHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	leaving := newHolder()
	stop := run(t, b.runner(leaving))
	first := b.begin(t, "u1")
	receive(t, leaving.began)

	staying := newHolder()
	close(staying.goOn)
	run(t, b.runner(staying))
	began := time.Now()
	stop()
	require.ErrorIs(t, receive(t, leaving.ended), bus.ErrShutdown)
	receive(t, staying.began)
	require.Less(t, time.Since(began), events.AckWait/3, "the event was not handed over")
	b.becomes(t, first, events.Paused)
	require.Empty(t, leaving.released, "a hand-over is no end of the chain")
}

// Nothing is delivered before there is a place to work on it, so that what one
// worker has no place for is another's.
func TestAWorkerTakesNoMoreThanItWorksOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	steps := []*holder{newHolder(), newHolder()}
	for i, uid := range []string{"a", "b", "c", "d"} {
		b.begin(t, uid)
		if i != 2 {
			continue
		}
		for _, step := range steps {
			run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: step, Source: "pauser", Concurrency: 2}))
		}
	}
	for _, step := range steps {
		receive(t, step.began)
		receive(t, step.began)
	}
	b.begin(t, "e")
	require.Eventually(t, func() bool {
		c, err := b.bus.JetStream().Consumer(b.ctx, events.Stream, events.PauserConsumer.Name)
		return err == nil && c.CachedInfo().NumAckPending == 4 && c.CachedInfo().NumPending == 1
	}, patience, tick, "four are worked on, and one waits")
}

// The client may wait for nothing for a message, until it misses two heartbeats of 5 s:
// the worker must not wait with it.
func TestAThousandWaitAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count = 1000
	began := make(chan time.Time, count)
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Source: "pauser", Concurrency: count,
		Step: bus.StepFunc(func(ctx context.Context, _ events.Event, _ bus.Confirm) (events.Event, error) {
			began <- time.Now()
			<-ctx.Done()
			return events.Event{}, ctx.Err()
		})}))
	var publishers sync.WaitGroup
	defer publishers.Wait()
	publishers.Go(func() {
		for i := range count {
			if _, err := b.chain.Begin(b.ctx, requested(fmt.Sprintf("u%d", i))); err != nil {
				t.Errorf("begin: %v", err)
				return
			}
		}
	})
	last := receive(t, began)
	for range count - 1 {
		next := receive(t, began)
		require.Less(t, next.Sub(last), 8*time.Second, "messages are taken in fits and starts")
		last = next
	}
}

func TestAnObserverSeesFactsOfChainsThatHaveGoneOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1")
	b.follow(t, first, events.Cancelled)
	seen := make(chan events.Fact, 10)
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.WatcherConsumer, Source: "watcher", Observer: true,
		Step: bus.StepFunc(func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
			seen <- e.Fact
			return events.Event{}, nil
		})}))
	require.ElementsMatch(t, []events.Fact{events.Requested, events.Cancelled}, []events.Fact{receive(t, seen), receive(t, seen)})
	b.idle(t, events.WatcherConsumer)
}

// A stream that is deleted under a running service, and provisioned again, is
// found again: what comes then is worked on, and until then the service is not
// ready and says why.
func TestF55_StreamDeletedWhileRunning(t *testing.T) {
	t.Parallel()
	b := setup(t)
	runner := b.runner(pauser)
	require.ErrorContains(t, runner.Ready(), "not started")
	run(t, runner)
	b.becomes(t, b.begin(t, "before"), events.Paused)
	b.idle(t, events.PauserConsumer)
	require.NoError(t, b.bus.JetStream().DeleteStream(b.ctx, events.Stream))
	require.Eventually(t, func() bool { return runner.Ready() != nil }, patience, tick)
	require.Eventually(t, func() bool {
		err := runner.Ready()
		return err != nil && strings.Contains(err.Error(), "opsrelay provision")
	}, patience, tick, "the runner does not say what to do")
	require.NoError(t, runner.Live(), "a restart would not help")
	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1))
	b.becomes(t, b.begin(t, "after"), events.Paused)
	require.Eventually(t, func() bool { return runner.Ready() == nil }, patience, tick)
}

func TestRunWaitsForItsConsumer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.bus.JetStream().DeleteConsumer(b.ctx, events.Stream, events.PauserConsumer.Name))
	first := b.begin(t, "u1")
	runner := b.runner(pauser)
	run(t, runner)
	require.Eventually(t, func() bool {
		err := runner.Ready()
		return err != nil && err.Error() != "consumer pauser: not started"
	}, patience, tick)
	require.ErrorContains(t, runner.Ready(), "opsrelay provision")
	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1))
	b.becomes(t, first, events.Paused)
	require.NoError(t, runner.Ready())
}

func (b *bundle) expander(step bus.Step) *bus.Runner {
	return b.bus.NewRunner(bus.RunnerConfig{Consumer: events.ExpanderConsumer, Step: step, Source: "expander"})
}
