// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// An older version's streams and consumers are brought to this version's while a
// volume grows: nothing that is stored is lost, and the request ends right.
func TestUpgradeInTheMiddle(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.growing("grow", "sdb")
	conn, err := b.stack.Connect(b.ctx, "upgrade")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(b.ctx)) }()
	js := conn.JetStream()
	streams, consumers := b.configs(js)
	b.makeOlder(js)
	chain := b.stored(js)

	for range 2 { // the second one has nothing to do
		text, err := b.run(b.ctx, "provision", "--nats-url", b.stack.NATS, "--kubeconfig", b.stack.Cluster.Kubeconfig)
		require.NoError(t, err)
		require.Equal(t, "3 streams and 6 consumers are as they should be\nthey belong to the cluster whose namespace kube-system has uid UID\n", b.steady(text))
		nowStreams, nowConsumers := b.configs(js)
		require.Equal(t, streams, nowStreams)
		require.Equal(t, consumers, nowConsumers)
	}
	require.GreaterOrEqual(t, b.stored(js), chain, "facts were lost")

	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, request.Status.Phase, fixture.FailureOf(request))
	b.resumed("sdb")
}

// makeOlder gives streams and consumers another configuration, and takes away the
// consumer of the step that comes next.
func (b *bundle) makeOlder(js jetstream.JetStream) {
	b.Helper()
	for _, config := range events.Streams(1) {
		config.Description, config.MaxAge, config.MaxBytes = "older", 7*24*time.Hour, config.MaxBytes/2
		_, err := js.UpdateStream(b.ctx, config)
		require.NoError(b, err)
	}
	for _, consumer := range events.Consumers() {
		config := consumer.Config()
		config.Description, config.MaxAckPending, config.AckWait = "older", 1000, time.Minute
		if config.MaxDeliver > 0 {
			config.MaxDeliver = 5
		}
		_, err := js.UpdateConsumer(b.ctx, consumer.Stream, config)
		require.NoError(b, err)
	}
	require.NoError(b, js.DeleteConsumer(b.ctx, events.Stream, events.UpdaterConsumer.Name))
}

// configs are the configurations that the broker has, by name.
func (b *bundle) configs(js jetstream.JetStream) (map[string]jetstream.StreamConfig, map[string]jetstream.ConsumerConfig) {
	b.Helper()
	streams, consumers := map[string]jetstream.StreamConfig{}, map[string]jetstream.ConsumerConfig{}
	for _, config := range events.Streams(1) {
		stream, err := js.Stream(b.ctx, config.Name)
		require.NoError(b, err)
		streams[config.Name] = stream.CachedInfo().Config
	}
	for _, consumer := range events.Consumers() {
		bound, err := js.Consumer(b.ctx, consumer.Stream, consumer.Name)
		require.NoError(b, err)
		consumers[consumer.Name] = bound.CachedInfo().Config
	}
	return streams, consumers
}

// stored is how many facts the stream holds.
func (b *bundle) stored(js jetstream.JetStream) uint64 {
	b.Helper()
	stream, err := js.Stream(b.ctx, events.Stream)
	require.NoError(b, err)
	return stream.CachedInfo().State.Msgs
}
