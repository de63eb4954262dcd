// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// held returns the events of a chain in their sequence.
func held(facts ...events.Fact) []events.Event {
	list := chain(facts...)
	for i := range list {
		list[i].Sequence = uint64(i + 1)
	}
	return list
}

func TestTheFirstAndTheLastFactAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	n := notes{}
	list := held(events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed)
	for _, e := range []events.Event{list[0], list[4], held(events.Rejected)[0]} {
		write, err := n.wait(t.Context(), e, time.Hour)
		require.NoError(t, err)
		require.True(t, write, e.Fact)
	}
	require.Empty(t, n.open, "nothing is held any more")
}

func TestAFactIsLeftToANewerOne(t *testing.T) {
	t.Parallel()
	n := notes{}
	list := held(events.Requested, events.Paused, events.Expanded, events.Updated)
	first, _ := n.lay(list[1])
	type answer struct {
		write bool
		err   error
	}
	answers := make(chan answer, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		write, err := n.wait(ctx, list[3], time.Hour)
		answers <- answer{write, err}
	}()
	<-first.outdated
	write, err := n.wait(t.Context(), list[2], time.Hour)
	require.NoError(t, err)
	require.False(t, write, "an older fact that comes late is said by the newer one")

	cancel()
	last := <-answers
	require.ErrorIs(t, last.err, context.Canceled, "the newest waits for its time, or the end of the process")
	require.False(t, last.write)
	require.Empty(t, n.open)
}

func TestAFactIsWrittenWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	n := notes{}
	paused := held(events.Requested, events.Paused)[1]
	paused.Time = time.Now().Add(-2 * time.Hour)
	write, err := n.wait(t.Context(), paused, time.Hour)
	require.NoError(t, err)
	require.True(t, write)
}
