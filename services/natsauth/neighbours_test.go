// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"strings"
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

// tricks are what a message's headers ask of the stream that it is stored in.
var tricks = map[string]nats.Header{
	"purge everything":      {jetstream.MsgRollup: {jetstream.MsgRollupAll}},
	"purge the subject":     {jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
	"end another's timer":   {"Nats-Schedule-Next": {"purge"}, "Nats-Scheduler": {"opsrelay.v1.requested.singlestore.demo.victim"}},
	"set a timer":           {jetstream.ScheduleHeader: {"@at 2100-01-01T00:00:00Z"}, jetstream.ScheduleTargetHeader: {"opsrelay.v1.failed.singlestore.demo.victim"}},
	"let it be forgotten":   {jetstream.MsgTTLHeader: {"1s"}},
	"count":                 {"Nats-Incr": {"1"}},
	"begin a batch":         {"Nats-Batch-Id": {"x"}, "Nats-Batch-Sequence": {"1"}, "Nats-Batch-Commit": {"1"}},
	"come from a source":    {"Nats-Stream-Source": {"OPSRELAY 1 > > opsrelay.v1.requested.singlestore.demo.victim"}},
	"be a marker of an end": {"Nats-Marker-Reason": {"Purge"}, jetstream.MsgRollup: {jetstream.MsgRollupAll}},
}

// A timer is the fact itself, which waits in the broker: no user can remove it,
// replace it or purge it, whatever its messages ask for, and it is due in time.
func TestD12_NoUserTakesATimerAway(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{Subscribers: []string{"partner"}})
	s.provision(t)
	watcher := s.run(t, "watcher", bus.RunnerConfig{Consumer: events.TimeoutConsumer})
	chain := watcher.Chain("watcher")
	first, err := chain.Begin(bustest.Context(t), requested("victim", 4*time.Second-10*time.Second))
	require.NoError(t, err)

	for user := range publishable {
		c := s.client(t, user)
		for _, subject := range append([]string{"opsrelay.timer.v1.singlestore.demo.victim", "opsrelay.timer.v1.singlestore.demo.other", "opsrelay.timeout.v1.requested.singlestore.demo.victim"}, publishable[user]...) {
			if strings.HasPrefix(subject, "$JS.") {
				continue // no message that is stored: an acknowledgement, or a question to the broker
			}
			for trick, header := range tricks {
				message := nats.NewMsg(subject)
				message.Header, message.Reply = header, "_INBOX_"+user+".x."+strings.ReplaceAll(trick, " ", "-")
				require.NoError(t, c.PublishMsg(message))
			}
		}
		require.NoError(t, c.Flush())
	}
	last, err := chain.Last(bustest.Context(t), first.ChainKey())
	require.NoError(t, err)
	require.Equal(t, events.Requested, last.Fact, "the fact is gone, or was followed")
	require.Equal(t, "DeadlineExceeded", becomes(t, chain, first, events.Failed).Operation.Failure.Reason)
}

// The broker does not ask whether a user may publish to the reply subject of its
// request: its answers must not be taken for requests.
func TestAnAnswerOfTheBrokerIsNoRequest(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{})
	s.provision(t)
	chain := s.connect(t, "watcher").Chain("watcher")
	first, err := chain.Begin(bustest.Context(t), requested("victim", time.Hour))
	require.NoError(t, err)
	for _, user := range []string{"watcher", "pauser", "expander", "updater"} {
		c := s.client(t, user)
		for _, reply := range []string{
			"$JS.API.STREAM.PURGE.OPSRELAY", "$JS.API.STREAM.DELETE.OPSRELAY", "$JS.API.STREAM.DELETE.OPSRELAY_PROGRESS",
			"$JS.API.CONSUMER.DELETE.OPSRELAY.timeout", "$JS.API.CONSUMER.DELETE.OPSRELAY.pauser",
		} {
			require.NoError(t, c.PublishRequest("$JS.API.CONSUMER.INFO.OPSRELAY."+user, reply, nil))
			require.NoError(t, c.PublishRequest("$JS.API.STREAM.MSG.GET.OPSRELAY", reply, []byte(`{"seq":1}`)))
		}
		require.NoError(t, c.Flush())
	}
	last, err := chain.Last(bustest.Context(t), first.ChainKey())
	require.NoError(t, err)
	require.Equal(t, first, last)
	operator := s.connect(t, natsauth.OperatorUser)
	for _, stream := range events.Streams(1) {
		_, err := operator.JetStream().Stream(bustest.Context(t), stream.Name)
		require.NoError(t, err)
	}
	for _, consumer := range events.Consumers() {
		_, err := operator.JetStream().Consumer(bustest.Context(t), consumer.Stream, consumer.Name)
		require.NoError(t, err)
	}
}
