// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

func TestDeadLettersAreListedAndReplayed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	none, err := b.bus.DeadLetters(b.ctx)
	require.NoError(t, err)
	require.Empty(t, none)

	paused := b.follow(t, b.begin(t, "u1"), events.Paused)
	b.terminate(t, events.ExpanderConsumer)
	var letters []bus.DeadLetter
	require.Eventually(t, func() bool {
		letters, err = b.bus.DeadLetters(b.ctx)
		return err == nil && len(letters) == 1
	}, time.Minute, 10*time.Millisecond)
	letter := letters[0]
	require.NoError(t, letter.Unreadable)
	require.Equal(t, "expander", letter.Consumer)
	require.Equal(t, "it is of a newer version", letter.Reason)
	require.Equal(t, paused.ID(), letter.Event.ID())
	require.Equal(t, paused.Sequence, letter.Sequence)

	require.NoError(t, b.bus.Replay(b.ctx, letter))
	again := b.deliver(t, events.ExpanderConsumer)
	require.Equal(t, paused.Subject(), again.Subject())

	b.follow(t, paused, events.Expanded)
	require.ErrorIs(t, b.bus.Replay(b.ctx, letter), bus.ErrAnswered)
	_, err = b.bus.DeadLetter(b.ctx, 99)
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
}
