// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

func TestAChainIsReadAsItWasPublished(t *testing.T) {
	t.Parallel()
	b := setup(t)

	_, err := b.chain.Last(b.ctx, requested("u1").ChainKey())
	require.ErrorIs(t, err, bus.ErrNoChain)

	first := b.begin(t, "u1")
	require.NotZero(t, first.Sequence)
	require.Equal(t, first, b.last(t, first))
	require.Equal(t, "watcher", first.Source)

	paused := b.follow(t, first, events.Paused)
	require.Greater(t, paused.Sequence, first.Sequence)
	require.Equal(t, paused, b.last(t, first))
}

// A server alone reports our own event as a conflict, a cluster as a duplicate.
func TestOursAlreadyIsNoError(t *testing.T) {
	t.Parallel()
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			first := b.begin(t, "u1")
			again, err := b.chain.Begin(b.ctx, requested("u1"))
			require.NoError(t, err)
			require.Equal(t, first, again)

			paused := b.follow(t, first, events.Paused)
			again, err = b.chain.Follow(b.ctx, first, first.Next(events.Paused))
			require.NoError(t, err)
			require.Equal(t, paused, again)
		})
	}
}

func TestALostRaceNamesTheLastEvent(t *testing.T) {
	t.Parallel()
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			first := b.begin(t, "u1")
			cancelled := b.follow(t, first, events.Cancelled)

			_, err := b.chain.Follow(b.ctx, first, first.Next(events.Paused))
			require.ErrorIs(t, err, bus.ErrLostRace)
			var lost *bus.LostRace
			require.ErrorAs(t, err, &lost)
			require.Equal(t, cancelled, lost.Last)

			// What is ours, but not the last any more, is lost, too.
			_, err = b.chain.Begin(b.ctx, requested("u1"))
			require.ErrorAs(t, err, &lost)
			require.Equal(t, cancelled, lost.Last)
		})
	}
}

// Sixteen workers answer one event at once, half of them with another fact, over
// many rounds: one successor is stored each time, and everybody knows which.
func TestOneSuccessorOutOfSixteenRacingWorkers(t *testing.T) {
	t.Parallel()
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			for _, uid := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
				race(t, b, b.begin(t, uid))
			}
		})
	}
}

func race(t *testing.T, b *bundle, first events.Event) {
	t.Helper()
	const workers = 16
	results := make([]events.Event, workers)
	failures := make([]error, workers)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range workers {
		fact := []events.Fact{events.Paused, events.Failed}[i%2]
		group.Go(func() {
			<-start
			results[i], failures[i] = b.chain.Follow(b.ctx, first, first.Next(fact))
		})
	}
	close(start)
	group.Wait()
	last := b.last(t, first)
	require.Equal(t, []events.Fact{events.Requested, last.Fact}, facts(last))
	for i, err := range failures {
		var lost *bus.LostRace
		switch {
		case err == nil:
			require.Equal(t, last.ID(), results[i].ID())
			require.Equal(t, last.Sequence, results[i].Sequence)
		case errors.As(err, &lost):
			require.Equal(t, last, lost.Last)
		default:
			require.NoError(t, err)
		}
	}
	info, err := b.bus.JetStream().Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	state, err := info.Info(b.ctx, jetstream.WithSubjectFilter(first.ChainKey().Filter()))
	require.NoError(t, err)
	require.Len(t, state.State.Subjects, 2, "the chain has forked")
}

func TestAnIllegalSuccessorIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1")
	resumed := first.Next(events.Failed).Next(events.Resumed)

	_, err := b.chain.Follow(b.ctx, first, resumed)
	require.ErrorContains(t, err, "must not follow")
	_, err = b.chain.Begin(b.ctx, resumed)
	require.ErrorContains(t, err, "does not begin a chain")
	_, err = b.chain.Follow(b.ctx, requested("u1"), first.Next(events.Paused))
	require.ErrorContains(t, err, "not stored")
	_, err = b.chain.Follow(b.ctx, first, requested("u2").Next(events.Paused))
	require.ErrorContains(t, err, "another chain")
	require.Equal(t, events.Requested, b.last(t, first).Fact)
}

// The broker remembers ids for an hour. A stream that was emptied meanwhile must
// be filled again all the same.
func TestAChainBeginsAnewAfterTheStreamWasEmptied(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1")
	stream, err := b.bus.JetStream().Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(b.ctx))

	again := b.begin(t, "u1")
	require.Greater(t, again.Sequence, first.Sequence)
	require.Equal(t, again, b.last(t, first))
}

func TestOnlyTheNewestProgressOfAVolumeIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := requested("u1").ChainKey()
	for _, state := range []string{events.StateRequested, "NodeResizePending", events.StateGrown} {
		require.NoError(t, b.chain.Progress(b.ctx, key, events.Progress{Claim: "data.db-0", To: "2Gi", State: state}))
	}
	stream, err := b.bus.JetStream().Stream(b.ctx, events.ProgressStream)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		message, err := stream.GetLastMsgForSubject(b.ctx, key.Progress("data.db-0"))
		if err != nil {
			return false
		}
		p, err := events.DecodeProgress(message.Data)
		return err == nil && p.State == events.StateGrown
	}, patience, tick)
	info, err := stream.Info(b.ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, info.State.Msgs)
}

func TestWhatIsPublishedIsCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	_ = setup(t)
	b, err := bus.Connect(bustest.Context(t), bus.Config{Name: "watcher", InProcess: bustest.Server(t), Registerer: registry})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close(context.Background())) }()
	chain := b.Chain("watcher")
	first, err := chain.Begin(t.Context(), requested("u1"))
	require.NoError(t, err)
	_, err = chain.Begin(t.Context(), requested("u1"))
	require.NoError(t, err)
	_, err = chain.Follow(t.Context(), first, first.Next(events.Failed))
	require.NoError(t, err)
	_, err = chain.Follow(t.Context(), first, first.Next(events.Paused))
	require.ErrorIs(t, err, bus.ErrLostRace)

	require.Equal(t, map[string]float64{
		"requested stored": 1, "requested duplicate": 1, "failed stored": 1, "paused conflict": 1,
	}, counters(t, registry, "opsrelay_events_published_total"))
	require.Equal(t, map[string]float64{"watcher": 1}, counters(t, registry, "opsrelay_nats_connected"))
}

// In a cluster an event is delivered by a server that may be ahead of the one
// that is asked for the chain's last event: its older answer is no lost race.
func TestALeaderThatIsBehindIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, "u1")

	answer := make(chan events.Event, 1)
	go func() {
		last, err := b.chain.LastSince(b.ctx, first.ChainKey(), first.Sequence+1, time.Hour)
		if err == nil {
			answer <- last
		}
		close(answer)
	}()
	paused := b.follow(t, first, events.Paused)
	require.Equal(t, paused, <-answer)

	last, err := b.chain.LastSince(b.ctx, first.ChainKey(), paused.Sequence+1, 0)
	require.NoError(t, err, "what stays unknown is gone with the stream's data")
	require.Equal(t, paused, last)
	_, err = b.chain.LastSince(b.ctx, requested("u2").ChainKey(), 7, 0)
	require.ErrorIs(t, err, bus.ErrNoChain)
}
