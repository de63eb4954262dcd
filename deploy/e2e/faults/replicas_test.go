// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Two watchers and three of each worker, a hundred requests, and no first
// acknowledgement of any message arrives, so that every message comes at least
// twice: each request is one chain, and nothing is done twice.
func TestManyReplicasAndEveryMessageTwice(t *testing.T) {
	t.Parallel()
	const databases, rounds = 50, 2
	l := newLane(t, stack.Options{AckWait: time.Second, MaxDeliver: 1000, Processes: []string{
		"watcher", "watcher.2", "pauser", "pauser.2", "pauser.3", "expander", "expander.2", "expander.3", "updater", "updater.2", "updater.3",
	}})
	for _, service := range stack.Relay {
		l.arm(service, "acknowledge=lose")
	}
	var list []*kubedb.Singlestore
	for i := range databases {
		list = append(list, standalone(fmt.Sprintf("sdb-%d", i)))
	}
	l.createDatabases(list...)
	for round := range rounds {
		for _, db := range list {
			l.create(expansion(fmt.Sprintf("%s-grow-%d", db.Name, round), db.Name, 2+round, 0, 0))
		}
		for _, db := range list {
			l.mustEnd(fmt.Sprintf("%s-grow-%d", db.Name, round), kubedb.OpsSuccessful)
		}
	}
	l.settled()

	chains := l.chains()
	require.Len(t, chains, databases*rounds)
	for request, facts := range chains {
		require.Equal(t, []events.Fact{events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed}, facts, request)
	}
	const requests = databases * rounds
	l.requireRedelivered(map[string]uint64{"watcher": 5 * requests, "pauser": 2 * requests, "expander": requests, "updater": requests})
	writes, err := invariant.ReadAuditLog(shared.Cluster.AuditLog)
	require.NoError(t, err)
	counts := map[string]int{}
	for _, write := range writes {
		if write.Namespace == l.namespace {
			counts[write.Service+" "+write.Verb+" "+write.Resource]++
		}
	}
	require.Equal(t, 2*databases*rounds, counts["pauser patch singlestores/status"], "a pause and a resume for each request")
	require.Equal(t, databases*rounds, counts["expander patch persistentvolumeclaims"], "a larger claim for each request")
	require.Equal(t, databases*rounds, counts["updater patch petsets"], "a larger template for each request")
	require.Equal(t, databases*rounds, counts["updater patch singlestores"], "a larger database for each request")
	require.Equal(t, 5*databases*rounds, counts["watcher create events"], "an event for each fact")
}

// chains are the facts of each request, in their order in the broker.
func (l *lane) chains() map[string][]events.Fact {
	conn, err := l.stack.Connect(l.ctx, "chains")
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, conn.Close(l.ctx)) }()
	stream, err := conn.JetStream().Stream(l.ctx, events.Stream)
	require.NoError(l.t, err)
	chains := map[string][]events.Fact{}
	for message := range l.facts(stream) {
		fact, key, err := events.ParseSubject(message.Subject)
		require.NoError(l.t, err)
		chains[key.UID] = append(chains[key.UID], fact)
	}
	return chains
}

// facts are the messages of the stream that are facts, in order.
func (l *lane) facts(stream jetstream.Stream) iter.Seq[*jetstream.RawStreamMsg] {
	return func(yield func(*jetstream.RawStreamMsg) bool) {
		for next := uint64(1); ; {
			message, err := stream.GetMsg(l.ctx, next, jetstream.WithGetMsgSubject(events.AllFacts))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			require.NoError(l.t, err)
			if !yield(message) {
				return
			}
			next = message.Sequence + 1
		}
	}
}

// requireRedelivered requires that the broker delivered at least twice as many
// messages to each service as there are.
func (l *lane) requireRedelivered(messages map[string]uint64) {
	conn, err := l.stack.Connect(l.ctx, "redelivered")
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, conn.Close(l.ctx)) }()
	for _, consumer := range []events.Consumer{events.WatcherConsumer, events.PauserConsumer, events.ExpanderConsumer, events.UpdaterConsumer} {
		bound, err := conn.JetStream().Consumer(l.ctx, consumer.Stream, consumer.Name)
		require.NoError(l.t, err)
		info := bound.CachedInfo()
		require.GreaterOrEqual(l.t, info.Delivered.Consumer, 2*messages[consumer.Name], consumer.Name)
	}
}
