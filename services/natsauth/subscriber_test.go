// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

func TestASubscriberReadsEverythingThroughItsDurablesAndWritesNothing(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"acks of today": nil, "acks to come": {newAcks}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, natsauth.Options{Subscribers: []string{"partner"}}, lines...)
			s.provision(t)
			provisioner := s.connect(t, natsauth.ProvisionUser)
			for range 2 {
				require.NoError(t, natsauth.ProvisionSubscriber(bustest.Context(t), provisioner.JetStream(), "partner"))
			}
			watcher, expander := s.connect(t, "watcher"), s.connect(t, "expander")
			chain := watcher.Chain("watcher")
			first, err := chain.Begin(bustest.Context(t), requested("u1", time.Hour))
			require.NoError(t, err)
			_, err = chain.Follow(bustest.Context(t), first, first.Next(events.Cancelled))
			require.NoError(t, err)
			require.NoError(t, expander.Chain("expander").Progress(t.Context(), first.ChainKey(), events.Progress{Claim: "data-0", To: "2Gi", State: events.StateGrown}))

			c := s.client(t, "partner")
			js, err := jetstream.NewWithAPIPrefix(c.Conn, natsauth.SubscriberPrefix)
			require.NoError(t, err)
			received := map[string][]string{}
			for _, durable := range natsauth.SubscriberConsumers("partner") {
				consumer, err := js.Consumer(bustest.Context(t), durable.Stream, durable.Name)
				require.NoError(t, err)
				messages, err := consumer.Messages()
				require.NoError(t, err)
				for range map[string]int{events.Stream: 2, events.ProgressStream: 1}[durable.Stream] {
					msg, err := messages.Next(jetstream.NextContext(bustest.Context(t)))
					require.NoError(t, err)
					require.NoError(t, msg.DoubleAck(bustest.Context(t)))
					received[durable.Stream] = append(received[durable.Stream], msg.Subject())
				}
				messages.Stop()
				info, err := consumer.Info(bustest.Context(t))
				require.NoError(t, err)
				require.Zero(t, info.NumAckPending)
				require.Zero(t, info.NumPending)
			}
			require.Equal(t, map[string][]string{
				events.Stream:         {first.Subject(), first.Next(events.Cancelled).Subject()},
				events.ProgressStream: {first.ChainKey().Progress("data-0")},
			}, received)
			require.Empty(t, c.all())

			// Answers that it asks to be sent to the relay's subjects stay in its own
			// account.
			forged := first.ChainKey().Subject(events.Resumed)
			for _, durable := range natsauth.SubscriberConsumers("partner") {
				name := durable.Stream + "." + durable.Name
				require.NoError(t, c.PublishRequest(natsauth.SubscriberPrefix+".CONSUMER.INFO."+name, forged, nil))
				require.NoError(t, c.PublishRequest(natsauth.SubscriberPrefix+".CONSUMER.MSG.NEXT."+name, forged, []byte(`{"batch":1,"no_wait":true}`)))
			}
			_, err = c.Request(natsauth.SubscriberPrefix+".CONSUMER.INFO."+events.Stream+".partner", nil, patience)
			require.NoError(t, err)
			require.Equal(t, events.Cancelled, becomes(t, chain, first, events.Cancelled).Fact)
		})
	}
}

func TestASubscriberCannotTakeARelaysName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"watcher", "provision", "timeout", "deadletter", "server", "sys", "", "A", "a.b", "a>", "-a", "a b"} {
		_, _, err := natsauth.New(natsauth.Options{Subscribers: []string{name}})
		require.Error(t, err, name)
	}
	_, _, err := natsauth.New(natsauth.Options{Subscribers: []string{"twice", "twice"}})
	require.ErrorContains(t, err, "there already")
}

// TestARightToCreateConsumersIsARightToPublish is why a subscriber has none: the
// server does not ask whether it may publish where its consumer delivers. No
// stream stores what comes so, but who listens to the live feed believes it.
func TestARightToCreateConsumersIsARightToPublish(t *testing.T) {
	t.Parallel()
	user := &server.User{Username: "partner", Password: "partner", Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"$JS.API.CONSUMER.CREATE.OPSRELAY_PROGRESS.partner.opsrelay.progress.v1.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_partner.>"}},
	}}
	srv := bustest.Start(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Users: []*server.User{{Username: "admin", Password: "admin"}, user}})
	connect := func(user string) *bus.Bus {
		b, err := bus.Connect(bustest.Context(t), bus.Config{Name: user, URL: fmt.Sprintf("nats://%s:%s@%s", user, user, srv.Addr())})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Close(bustest.Context(t))) })
		return b
	}
	admin, partner := connect("admin"), connect("partner")
	require.NoError(t, bus.Provision(bustest.Context(t), admin.JetStream(), 1))
	chain := admin.Chain("watcher")
	first, err := chain.Begin(bustest.Context(t), requested("u1", time.Hour))
	require.NoError(t, err)
	require.NoError(t, chain.Progress(t.Context(), first.ChainKey(), events.Progress{Claim: "data-0"}))
	deliver := first.ChainKey().Live(events.Failed)
	listener, err := admin.JetStream().Conn().SubscribeSync(deliver)
	require.NoError(t, err)
	_, err = partner.JetStream().CreatePushConsumer(bustest.Context(t), events.ProgressStream, jetstream.ConsumerConfig{
		Durable: "partner", FilterSubject: events.AllProgress, DeliverSubject: deliver,
	})
	require.NoError(t, err)
	forged, err := listener.NextMsg(patience)
	require.NoError(t, err)
	require.Contains(t, string(forged.Data), "data-0")
}
