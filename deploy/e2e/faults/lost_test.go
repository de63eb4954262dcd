// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Row 55: a service dies when it has done its work and not said so, and the broker
// loses what it had. The request is re-driven from what is true, and nothing is
// done twice.
func TestF55_AnEventIsLostAfterItsEffect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		service string
		fact    events.Fact
	}{{"pauser", events.Paused}, {"expander", events.Expanded}, {"updater", events.Updated}} {
		t.Run(string(c.fact), func(t *testing.T) {
			t.Parallel()
			l := newLane(t, stack.Options{AckWait: time.Second, Args: redriven})
			l.createDatabases(topology("sdb"))
			died := l.stack.Died(c.service)
			l.arm(c.service, "before publish "+string(c.fact)+"#1=kill")
			l.create(expansion("grow", "sdb", 0, 2, 11))
			<-died
			require.NoError(t, l.stack.KillService(c.service)) // it is dead: reaped
			l.broker(func(js jetstream.JetStream) {
				stream, err := js.Stream(l.ctx, events.Stream)
				require.NoError(t, err)
				require.NoError(t, stream.Purge(l.ctx))
			})
			require.NoError(t, l.stack.StartService(c.service))
			l.mustEnd("grow", kubedb.OpsSuccessful)
		})
	}
}

// Row 55: the last fact of a request is handled by a watcher that dies before it
// has written the status, and never delivered again. The write is made up for.
func TestF55_TheLastStatusIsLost(t *testing.T) {
	t.Parallel()
	l := newLane(t, stack.Options{AckWait: time.Second, Args: redriven})
	l.createDatabases(topology("sdb"))
	died := l.stack.Died("watcher")
	l.arm("watcher", "before handle resumed#1=kill")
	l.create(expansion("grow", "sdb", 0, 0, 11))
	<-died
	require.NoError(t, l.stack.KillService("watcher")) // it is dead: reaped
	l.broker(func(js jetstream.JetStream) {
		lost := events.WatcherConsumer.Config()
		require.NoError(t, js.DeleteConsumer(l.ctx, events.Stream, lost.Durable))
		lost.DeliverPolicy = jetstream.DeliverNewPolicy
		_, err := js.CreateConsumer(l.ctx, events.Stream, lost)
		require.NoError(t, err)
	})
	request, err := l.requestNow("grow")
	require.NoError(t, err)
	require.Equal(t, kubedb.OpsProgressing, request.Status.Phase)
	require.NoError(t, l.stack.StartService("watcher"))
	l.mustEnd("grow", kubedb.OpsSuccessful)
}

// redriven has the watcher compare requests with their chains soon.
var redriven = map[string][]string{"watcher": {"--redrive-after=2s"}}

// broker calls do with the administrator's connection to the lane's broker.
func (l *lane) broker(do func(jetstream.JetStream)) {
	conn, err := l.stack.Connect(l.ctx, "administrator")
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, conn.Close(l.ctx)) }()
	do(conn.JetStream())
}
