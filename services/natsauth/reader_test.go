// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

// TestReadersReadFactsAndProgress reads what the board and the commands for people
// read, with their rights.
func TestReadersReadFactsAndProgress(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{})
	s.provision(t)
	first, err := s.connect(t, "watcher").Chain("watcher").Begin(bustest.Context(t), requested("u1", time.Hour))
	require.NoError(t, err)
	grown := events.Progress{Claim: "data-0", To: "2Gi", State: events.StateGrown}
	require.NoError(t, s.connect(t, "expander").Chain("expander").Progress(t.Context(), first.ChainKey(), grown))
	for _, user := range []string{natsauth.BoardUser, natsauth.OperatorUser} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			js := s.connect(t, user).JetStream()
			for e, err := range events.History(bustest.Context(t), js, events.Subscription{}) {
				require.NoError(t, err)
				require.Equal(t, first.ID(), e.ID())
			}
			ctx, stop := context.WithCancel(bustest.Context(t))
			err := events.Subscribe(ctx, js, events.Subscription{}, func(_ context.Context, e events.Event) error {
				require.Equal(t, first.ID(), e.ID())
				stop()
				return nil
			})
			require.NoError(t, err)
			require.ErrorIs(t, ctx.Err(), context.Canceled, "no fact was heard")

			ctx, stop = context.WithCancel(bustest.Context(t))
			require.NoError(t, events.FollowProgress(ctx, js, func(p events.Progress) {
				require.Equal(t, grown.Claim, p.Claim)
				stop()
			}))
			require.ErrorIs(t, ctx.Err(), context.Canceled, "no progress was heard")
		})
	}
}

// TestTheOperatorHoldsAPhaseAndReadsDeadLetters does what the commands that write
// do.
func TestTheOperatorHoldsAPhaseAndReadsDeadLetters(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{})
	s.provision(t)
	b := s.connect(t, natsauth.OperatorUser)
	ctx := bustest.Context(t)
	answer, err := b.JetStream().PauseConsumer(ctx, events.Stream, events.ExpanderConsumer.Name, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.True(t, answer.Paused)
	consumer, err := b.JetStream().Consumer(ctx, events.Stream, events.ExpanderConsumer.Name)
	require.NoError(t, err)
	require.True(t, consumer.CachedInfo().Paused)
	_, err = b.JetStream().ResumeConsumer(ctx, events.Stream, events.ExpanderConsumer.Name)
	require.NoError(t, err)
	letters, err := b.DeadLetters(ctx)
	require.NoError(t, err)
	require.Empty(t, letters)
	_, err = b.DeadLetter(ctx, 1)
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
}

// TestASetOfAnOlderVersionGetsTheUsersItLacks rotates a user that the set was
// made without.
func TestASetOfAnOlderVersionGetsTheUsersItLacks(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{})
	s.provision(t)
	s.set.Users = slices.DeleteFunc(s.set.Users, func(user natsauth.Keys) bool { return user.Name == natsauth.OperatorUser })
	files, err := s.set.Rotate(natsauth.OperatorUser)
	require.NoError(t, err)
	s.deliver(t, files)
	s.reload(t)
	_, err = s.connect(t, natsauth.OperatorUser).JetStream().Consumer(bustest.Context(t), events.Stream, events.PauserConsumer.Name)
	require.NoError(t, err)
	_, err = s.set.Retire(natsauth.OperatorUser)
	require.ErrorContains(t, err, "one key only")
}
