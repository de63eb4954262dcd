// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

// newAcks has the server write acknowledgements' subjects as later ones will by
// default.
const newAcks = "feature_flags { js_ack_fc_v2: true }"

// requested is the first event of a chain.
func requested(uid string, timeout time.Duration) events.Event {
	return events.First(events.Requested, "singlestore", events.Operation{
		Request:     events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: "grow", UID: uid},
		Database:    events.Reference{Kind: "Singlestore", Namespace: "demo", Name: "db", UID: "db-uid"},
		Mode:        events.Online,
		StepTimeout: events.SecondsOf(timeout),
	})
}

// answer is a step that answers with one fact, or as the given facts say.
func answer(otherwise events.Fact, special map[events.Fact]events.Fact) bus.Step {
	return bus.StepFunc(func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
		if fact, ok := special[e.Fact]; ok {
			return e.Next(fact), nil
		}
		return e.Next(otherwise), nil
	})
}

// run runs a step with the rights of its service until the test ends, and then
// checks that nothing was refused.
func (s *site) run(t *testing.T, service string, config bus.RunnerConfig) *bus.Bus {
	t.Helper()
	b := s.connect(t, service)
	s.runOn(t, b, service, config)
	return b
}

func (s *site) runOn(t *testing.T, b *bus.Bus, service string, config bus.RunnerConfig) {
	t.Helper()
	config.Source = service
	runner := b.NewRunner(config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	t.Cleanup(func() {
		require.NoError(t, runner.Ready())
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, b.Ready())
	})
}

// becomes waits until the chain ends with the fact, as the watcher reads it.
func becomes(t *testing.T, chain *bus.Chain, e events.Event, fact events.Fact) events.Event {
	t.Helper()
	var last events.Event
	require.Eventually(t, func() bool {
		var err error
		last, err = chain.Last(bustest.Context(t), e.ChainKey())
		require.NoError(t, err)
		return last.Fact == fact
	}, patience, tick, "the chain does not become %s", fact)
	return last
}

// idle waits until the consumer has nothing left: everything was acknowledged,
// and the server took it.
func idle(t *testing.T, b *bus.Bus, consumer events.Consumer) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := b.JetStream().Consumer(bustest.Context(t), consumer.Stream, consumer.Name)
		require.NoError(t, err)
		return c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	}, patience, tick, "consumer %s has something left", consumer.Name)
}

func TestTheRelayRunsWithItsRights(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options natsauth.Options
		lines   []string
	}{
		"acks of today":     {},
		"acks to come":      {lines: []string{newAcks}},
		"certificates, too": {options: natsauth.Options{TLS: true, Names: []string{"127.0.0.1", "nats"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, test.options, test.lines...)
			s.provision(t)
			var seen atomic.Int64
			watcher := s.run(t, "watcher", bus.RunnerConfig{Consumer: events.WatcherConsumer, Observer: true,
				Step: bus.StepFunc(func(context.Context, events.Event, bus.Confirm) (events.Event, error) {
					seen.Add(1)
					return events.Event{}, nil
				})})
			pauser := s.run(t, "pauser", bus.RunnerConfig{Consumer: events.PauserConsumer,
				Step: answer(events.Resumed, map[events.Fact]events.Fact{events.Requested: events.Paused})})
			expanding := s.connect(t, "expander")
			expander := expanding.Chain("expander")
			s.runOn(t, expanding, "expander", bus.RunnerConfig{Consumer: events.ExpanderConsumer,
				Step: bus.StepFunc(func(ctx context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
					if err := expander.Progress(ctx, e.ChainKey(), events.Progress{Claim: "data-db-0", To: "2Gi", State: events.StateGrown}); err != nil {
						return events.Event{}, err
					}
					return e.Next(events.Expanded), nil
				})})
			updater := s.run(t, "updater", bus.RunnerConfig{Consumer: events.UpdaterConsumer, Step: answer(events.Updated, nil)})

			chain := watcher.Chain("watcher")
			first, err := chain.Begin(bustest.Context(t), requested("u1", time.Hour))
			require.NoError(t, err)
			last := becomes(t, chain, first, events.Resumed)
			require.Equal(t, events.OutcomeSuccessful, last.Operation.Outcome)
			require.Len(t, last.Operation.History, 5)
			require.Eventually(t, func() bool { return seen.Load() == 5 }, patience, tick)
			for consumer, b := range map[*events.Consumer]*bus.Bus{
				&events.WatcherConsumer: watcher, &events.PauserConsumer: pauser,
				&events.ExpanderConsumer: expanding, &events.UpdaterConsumer: updater,
			} {
				idle(t, b, *consumer)
			}
		})
	}
}

func TestACancellationIsHeardOnTheLiveFeed(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{})
	s.provision(t)
	watcher := s.connect(t, "watcher")
	began, ended := make(chan struct{}), make(chan error, 1)
	s.run(t, "pauser", bus.RunnerConfig{Consumer: events.PauserConsumer,
		Step: bus.StepFunc(func(ctx context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
			if e.Fact == events.Cancelled {
				return e.Next(events.Resumed), nil
			}
			close(began)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return events.Event{}, ctx.Err()
		})})
	chain := watcher.Chain("watcher")
	first, err := chain.Begin(bustest.Context(t), requested("u1", time.Hour))
	require.NoError(t, err)
	<-began
	_, err = chain.Follow(bustest.Context(t), first, first.Next(events.Cancelled))
	require.NoError(t, err)
	require.ErrorIs(t, <-ended, bus.ErrChainEnded)
	becomes(t, chain, first, events.Resumed)
}

func TestTheWatcherFailsWhatNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{})
	s.provision(t)
	watcher := s.run(t, "watcher", bus.RunnerConfig{Consumer: events.TimeoutConsumer})
	s.runOn(t, watcher, "watcher", bus.RunnerConfig{Consumer: events.DeadLetterConsumer})
	chain := watcher.Chain("watcher")

	// A timer is due ten seconds after the deadline: it is in the past here.
	late := requested("late", -time.Minute)
	first, err := chain.Begin(bustest.Context(t), late)
	require.NoError(t, err)
	require.Equal(t, "DeadlineExceeded", becomes(t, chain, first, events.Failed).Operation.Failure.Reason)

	// The pauser itself says that it cannot read an event.
	pauser := s.connect(t, "pauser")
	second, err := chain.Begin(bustest.Context(t), requested("dead", time.Hour))
	require.NoError(t, err)
	consumer, err := pauser.JetStream().Consumer(bustest.Context(t), events.Stream, events.PauserConsumer.Name)
	require.NoError(t, err)
	for {
		msg, err := consumer.Next(jetstream.FetchMaxWait(patience))
		require.NoError(t, err)
		if msg.Subject() == second.Subject() {
			require.NoError(t, msg.TermWithReason("as a test"))
			break
		}
		require.NoError(t, msg.Ack())
	}
	require.Contains(t, becomes(t, chain, second, events.Failed).Operation.Failure.Message, "as a test")
	idle(t, watcher, events.DeadLetterConsumer)
	require.NoError(t, pauser.Ready())
}

func TestReadinessNamesTheMissingRight(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{})
	s.provision(t)

	// The updater with the key of the expander: no right to its own consumer.
	config := s.config("expander")
	config.Name, config.InboxPrefix = "updater", "_INBOX_expander"
	b, err := bus.Connect(bustest.Context(t), config)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close(bustest.Context(t))) }()
	runner := b.NewRunner(bus.RunnerConfig{Consumer: events.UpdaterConsumer, Source: "updater", Step: answer(events.Updated, nil)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	defer func() { cancel(); require.NoError(t, <-done) }()
	require.Eventually(t, func() bool { return b.Ready() != nil }, patience, tick)
	require.ErrorContains(t, runner.Ready(), "the broker refuses what this user does")
	require.ErrorContains(t, runner.Ready(), `Publish to "$JS.API.CONSUMER.INFO.OPSRELAY.updater"`)

	// A fact that is another service's to say.
	pauser := s.connect(t, "pauser")
	message := nats.NewMsg(requested("u1", time.Hour).Subject())
	require.NoError(t, pauser.JetStream().Conn().PublishMsg(message))
	require.Eventually(t, func() bool { return pauser.Ready() != nil }, patience, tick)
	require.ErrorContains(t, pauser.Ready(), message.Subject)
}
