// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// Two clusters, by the uids of their namespaces kube-system.
const (
	here  = "1c9a8f6e-0000-4000-8000-000000000001"
	there = "1c9a8f6e-0000-4000-8000-000000000002"
)

// Whose streams are, is recorded once, and kept by whoever does not know it.
// Another cluster changes nothing, and is told the way out.
func TestC07_ProvisioningLeavesTheStreamsOfAnotherCluster(t *testing.T) {
	t.Parallel()
	b := setup(t) // provisioned by somebody who did not know the cluster
	js := b.bus.JetStream()
	owner := func() string {
		t.Helper()
		owner, err := bus.StreamCluster(b.ctx, js, events.Stream)
		require.NoError(t, err)
		for _, consumer := range events.Consumers() {
			bound, err := js.Consumer(b.ctx, consumer.Stream, consumer.Name)
			require.NoError(t, err)
			require.Equal(t, owner, bound.CachedInfo().Config.Metadata[bus.MetadataCluster])
		}
		return owner
	}
	require.Empty(t, owner())
	require.NoError(t, bus.Provision(b.ctx, js, 1, bus.WithCluster(here)))
	require.Equal(t, here, owner())
	require.NoError(t, bus.Provision(b.ctx, js, 1))
	require.NoError(t, bus.Provision(b.ctx, js, 1, bus.WithCluster(here)))
	require.Equal(t, here, owner())

	err := bus.Provision(b.ctx, js, 1, bus.WithCluster(there))
	require.ErrorIs(t, err, bus.ErrForeignCluster)
	require.ErrorContains(t, err, "stream OPSRELAY belongs to the cluster whose namespace kube-system has uid "+here+", and this one's has "+there)
	require.ErrorContains(t, err, "a NATS account or a broker of its own")
	require.Equal(t, here, owner())
}

// A service does not begin on another cluster's consumers, and begins once they are
// its own.
func TestC07_AServiceWaitsForABrokerOfItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1, bus.WithCluster(there)))
	reasons, joined := make(chan error, 1000), make(chan error, 1)
	go func() {
		joined <- b.bus.JoinCluster(b.ctx, here, events.PauserConsumer, func(err error) { reasons <- err })
	}()
	require.ErrorIs(t, <-reasons, bus.ErrForeignCluster)
	require.ErrorIs(t, <-reasons, bus.ErrForeignCluster, "it asks again")
	for _, stream := range events.Streams(1) {
		require.NoError(t, b.bus.JetStream().DeleteStream(b.ctx, stream.Name))
	}
	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1, bus.WithCluster(here)))
	require.NoError(t, <-joined)
}

// A runner looks again when it binds again.
func TestC07_ARunnerIsNotReadyOnAnotherClustersConsumer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.bus.JoinCluster(b.ctx, here, events.PauserConsumer, func(error) {}))
	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1, bus.WithCluster(there)))
	runner := b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: &counter{}, Source: "pauser"})
	run(t, runner)
	require.Eventually(t, func() bool {
		return errors.Is(runner.Ready(), bus.ErrForeignCluster)
	}, patience, tick)
}

// A fact of another cluster changes nothing here, and its own cluster's service
// gets it. Streams of an older version say nothing of clusters.
func TestC07_AFactOfAnotherClusterIsLeftToItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours, theirs := &counter{}, &counter{}
	other := bustest.ConnectTo(t, bustest.Server(t), "other")
	require.NoError(t, b.bus.JoinCluster(b.ctx, here, events.PauserConsumer, func(error) {}))
	require.NoError(t, other.JoinCluster(b.ctx, there, events.PauserConsumer, func(error) {}))
	stopOurs := run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: ours, Source: "pauser"}))
	foreign, err := other.Chain("watcher").Begin(b.ctx, requested("foreign"))
	require.NoError(t, err)
	require.Equal(t, there, foreign.Cluster)
	require.Eventually(t, func() bool {
		return redelivered(b.ctx, t, b.bus.JetStream(), events.PauserConsumer) > 0
	}, patience, tick, "it is not delivered again")
	require.Zero(t, ours.handled.Load())
	require.Equal(t, events.Requested, b.last(t, foreign).Fact)

	// An event from before clusters were told apart is anybody's.
	old := b.publishOld(t, "old")
	require.Equal(t, here, b.becomes(t, old, events.Paused).Cluster)
	stopOurs()

	run(t, other.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: theirs, Source: "pauser"}))
	paused := b.becomes(t, foreign, events.Paused)
	require.Equal(t, there, paused.Cluster)
	require.EqualValues(t, 1, theirs.handled.Load())
	require.EqualValues(t, 1, ours.handled.Load())
}

// publishOld stores the first event of a chain as an older version does.
func (b *bundle) publishOld(t *testing.T, uid string) events.Event {
	t.Helper()
	e := requested(uid)
	e.Source = "watcher"
	message, err := events.Encode(e)
	require.NoError(t, err)
	require.Empty(t, message.Header.Get(events.HeaderCluster))
	ack, err := b.bus.JetStream().PublishMsg(b.ctx, message)
	require.NoError(t, err)
	e.Sequence = ack.Sequence
	return e
}

// Nor does this cluster's watcher fail a request of another cluster that nobody
// answered, or that the broker gave up on.
func TestC07_AnotherClustersRequestIsNotFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := bustest.ConnectTo(t, bustest.Server(t), "other")
	require.NoError(t, b.bus.JoinCluster(b.ctx, here, events.WatcherConsumer, func(error) {}))
	require.NoError(t, other.JoinCluster(b.ctx, there, events.WatcherConsumer, func(error) {}))
	foreign, err := other.Chain("watcher").Begin(b.ctx, requested("foreign"))
	require.NoError(t, err)
	letter := nats.NewMsg("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.OPSRELAY.pauser")
	letter.Data = []byte(`{"consumer":"pauser","stream_seq":1,"deliveries":20}`)
	require.EqualValues(t, 1, foreign.Sequence)
	_, err = b.bus.JetStream().PublishMsg(b.ctx, letter)
	require.NoError(t, err)
	stop := run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.DeadLetterConsumer, Source: "watcher"}))
	require.Eventually(t, func() bool {
		return redelivered(b.ctx, t, b.bus.JetStream(), events.DeadLetterConsumer) > 0
	}, patience, tick)
	require.Equal(t, events.Requested, b.last(t, foreign).Fact)
	stop()
	run(t, other.NewRunner(bus.RunnerConfig{Consumer: events.DeadLetterConsumer, Source: "watcher"}))
	b.becomes(t, foreign, events.Failed)
}

func redelivered(ctx context.Context, t *testing.T, js jetstream.JetStream, consumer events.Consumer) int {
	t.Helper()
	c, err := js.Consumer(ctx, consumer.Stream, consumer.Name)
	require.NoError(t, err)
	return c.CachedInfo().NumRedelivered
}
