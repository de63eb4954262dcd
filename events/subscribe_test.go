// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// published puts the whole chain of a request, whose uid is given, on the stream.
func published(t *testing.T, js jetstream.JetStream, uid, namespace string, last events.Fact) {
	t.Helper()
	for _, fact := range way(last) {
		event := sample(fact)
		event.Operation.Request.UID, event.Operation.Request.Namespace = uid, namespace
		msg, err := events.Encode(event)
		require.NoError(t, err)
		_, err = js.PublishMsg(bustest.Context(t), msg)
		require.NoError(t, err)
	}
}

// heard subscribes until the given number of events was handled, and returns
// "uid fact" of each call. The handler refuses what refuse says.
func heard(t *testing.T, js jetstream.JetStream, s events.Subscription, calls int, refuse func(events.Event) bool) []string {
	t.Helper()
	ctx, stop := context.WithCancel(bustest.Context(t))
	defer stop()
	var all []string
	err := events.Subscribe(ctx, js, s, func(_ context.Context, e events.Event) error {
		all = append(all, e.Operation.Request.UID+" "+string(e.Fact))
		refused := refuse != nil && refuse(e)
		if len(all) == calls {
			stop()
		}
		if refused {
			return errors.New("not now")
		}
		return nil
	})
	require.NoError(t, err)
	return all
}

func TestSubscribeGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	js := bustest.Connect(t, "subscriber").JetStream()
	published(t, js, "one", "demo", events.Resumed)
	s := events.Subscription{Durable: "notifier"}
	require.Equal(t, []string{"one requested", "one paused", "one expanded", "one updated", "one resumed"}, heard(t, js, s, 5, nil))
	published(t, js, "two", "demo", events.Failed)
	again := heard(t, js, s, 3, nil)
	// The last answer of the first run may have been lost with its connection.
	again = slices.DeleteFunc(again, func(e string) bool { return e == "one resumed" })
	require.Subset(t, []string{"two requested", "two paused", "two failed"}, again)
	require.Equal(t, "two requested", again[0])
}

func TestSubscribeBringsBackWhatWasRefused(t *testing.T) {
	t.Parallel()
	js := bustest.Connect(t, "subscriber").JetStream()
	published(t, js, "one", "demo", events.Rejected)
	tries := 0
	all := heard(t, js, events.Subscription{Durable: "notifier"}, 2, func(events.Event) bool { tries++; return tries == 1 })
	require.Equal(t, []string{"one rejected", "one rejected"}, all)
}

func TestSubscribeChooses(t *testing.T) {
	t.Parallel()
	js := bustest.Connect(t, "subscriber").JetStream()
	published(t, js, "one", "demo", events.Resumed)
	published(t, js, "two", "other", events.Resumed)
	chosen := events.Filter{Facts: []events.Fact{events.Resumed, events.Paused}, Namespace: "other", Kind: "singlestore"}
	want := []string{"two paused", "two resumed"}
	require.Equal(t, want, heard(t, js, events.Subscription{Filter: chosen}, 2, nil), "by the broker")

	// A consumer that was provisioned delivers every fact: the rest is passed over.
	_, err := js.CreateConsumer(bustest.Context(t), events.Stream, events.Consumer{Name: "given", Stream: events.Stream, Subjects: []string{events.AllFacts}}.Config())
	require.NoError(t, err)
	require.Equal(t, want, heard(t, js, events.Subscription{Filter: chosen, Durable: "given"}, 2, nil), "by the subscriber")
}

// What a newer version, or a stranger, has written stops nobody.
func TestSubscribePassesOverWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	js := bustest.Connect(t, "subscriber").JetStream()
	unknown, err := events.Encode(sample(events.Requested))
	require.NoError(t, err)
	unknown.Subject = events.ChainKey{Kind: "singlestore", Namespace: "demo", UID: sample(events.Requested).Operation.Request.UID}.Subject("polished")
	for _, msg := range []*nats.Msg{unknown, {Subject: "opsrelay.v1.requested.singlestore.demo.x", Data: []byte("{")}} {
		_, err := js.PublishMsg(bustest.Context(t), msg)
		require.NoError(t, err)
	}
	published(t, js, "one", "demo", events.Rejected)
	require.Equal(t, []string{"one rejected"}, heard(t, js, events.Subscription{Durable: "notifier"}, 1, nil))
}

func TestHistory(t *testing.T) {
	t.Parallel()
	js := bustest.Connect(t, "subscriber").JetStream()
	history := func(s events.Subscription) (all []string) {
		for event, err := range events.History(bustest.Context(t), js, s) {
			require.NoError(t, err)
			require.NotZero(t, event.Sequence)
			all = append(all, event.Operation.Request.UID+" "+string(event.Fact))
		}
		return all
	}
	require.Empty(t, history(events.Subscription{}))
	published(t, js, "one", "demo", events.Failed)
	published(t, js, "two", "demo", events.Rejected)
	require.Equal(t, []string{"one requested", "one paused", "one failed", "two rejected"}, history(events.Subscription{}))
	require.Equal(t, []string{"one requested", "one paused", "one failed"}, history(events.Subscription{Filter: events.Filter{UID: "one"}}))
	require.Empty(t, history(events.Subscription{Since: time.Now().Add(time.Hour)}))
}

func TestFilterSubjects(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"opsrelay.v1.>"}, events.Filter{}.Subjects())
	require.Equal(t, []string{"opsrelay.v1.*.*.demo.*"}, events.Filter{Namespace: "demo"}.Subjects())
	require.Equal(t, []string{"opsrelay.v1.failed.*.*.u", "opsrelay.v1.paused.*.*.u"},
		events.Filter{UID: "u", Facts: []events.Fact{events.Paused, events.Failed, events.Paused}}.Subjects())
}
