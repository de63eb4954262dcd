// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

// TestAnAcknowledgementOfNewFormIsNotOneOfOldForm is about a trap. In the newer
// form, domain and account stand before the stream. A right that leaves both
// open, $JS.ACK.*.*.<stream>.<own consumer>.>, is a right to the older form of
// everybody's consumers, $JS.ACK.<stream>.<consumer>.>: and an acknowledgement
// may ask for the consumer's next message.
func TestAnAcknowledgementOfNewFormIsNotOneOfOldForm(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{Subscribers: []string{"partner"}})
	s.provision(t)
	_, err := s.connect(t, "watcher").Chain("watcher").Begin(bustest.Context(t), requested("u1", time.Hour))
	require.NoError(t, err)
	pauser := s.connect(t, "pauser")
	for _, user := range []string{"updater", "expander", "watcher", "partner"} {
		c := s.client(t, user)
		stolen, err := c.SubscribeSync("_INBOX_" + user + ".stolen")
		require.NoError(t, err)
		subject := "$JS.ACK.OPSRELAY.pauser.OPSRELAY." + user + ".1.1.1"
		require.NoError(t, c.PublishRequest(subject, stolen.Subject, []byte("+NXT")))
		require.Eventually(t, func() bool { return len(c.all()) == 1 }, patience, tick)
		require.Contains(t, c.all()[0], subject)
		_, err = stolen.NextMsg(tick)
		require.Error(t, err)
	}
	consumer, err := pauser.JetStream().Consumer(bustest.Context(t), events.Stream, events.PauserConsumer.Name)
	require.NoError(t, err)
	require.Equal(t, uint64(1), consumer.CachedInfo().NumPending)
}
