// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// These are facts about the broker that the chain is built on. Should a new
// version of it change one, this says which.

// store publishes without what the chain makes of the answer.
func (b *bundle) store(t *testing.T, expected uint64, e events.Event) (*jetstream.PubAck, error) {
	t.Helper()
	message, err := events.Encode(e)
	require.NoError(t, err)
	return b.bus.JetStream().PublishMsg(b.ctx, message, jetstream.WithMsgID(e.ID()),
		jetstream.WithExpectLastSequenceForSubject(expected, e.ChainKey().Filter()))
}

// code is the broker's code for why it refused.
func code(t *testing.T, err error) jetstream.ErrorCode {
	t.Helper()
	var refused *jetstream.APIError
	require.ErrorAs(t, err, &refused)
	return refused.ErrorCode
}

// A server alone looks at the expected sequence before it looks for duplicates,
// a cluster the other way round. So neither answer says whose event is there.
func TestTheBrokersAnswerToTheSameEventAgain(t *testing.T) {
	t.Parallel()
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			_, err := b.store(t, 0, requested("u1"))
			require.NoError(t, err)
			ack, err := b.store(t, 0, requested("u1"))
			if name == "R1" {
				require.Equal(t, jetstream.JSErrCodeStreamWrongLastSequence, code(t, err))
				return
			}
			require.NoError(t, err)
			require.True(t, ack.Duplicate)
		})
	}
}

// What racing publishes of different events are refused with. A code that is
// none of these would be taken for trouble, and tried again instead of looked up.
func TestTheBrokersAnswersToARace(t *testing.T) {
	t.Parallel()
	const rounds, workers = 20, 16
	conflicts := []jetstream.ErrorCode{
		jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant, 10158,
	}
	for name, connect := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t)
			seen := map[jetstream.ErrorCode]int{}
			for round := range rounds {
				first := b.begin(t, fmt.Sprintf("u%d", round))
				refusals, winners := b.storeAtOnce(t, first, workers)
				for _, err := range refusals {
					refused := code(t, err)
					require.Contains(t, conflicts, refused)
					seen[refused]++
				}
				require.LessOrEqual(t, winners, 1, "the chain has forked")
			}
			t.Logf("refusals by code: %v", seen)
			if name == "R1" {
				require.Zero(t, seen[jetstream.JSErrCodeStreamWrongLastSequenceConstant], "a code of clusters only")
			}
		})
	}
}

// storeAtOnce has workers publish two kinds of successors at once. Each is told
// that its own is stored, or why it is not.
func (b *bundle) storeAtOnce(t *testing.T, first events.Event, workers int) (refusals []error, winners int) {
	t.Helper()
	acks, failures := make([]*jetstream.PubAck, workers), make([]error, workers)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range workers {
		next := first.Next([]events.Fact{events.Paused, events.Failed}[i%2])
		group.Go(func() {
			<-start
			acks[i], failures[i] = b.store(t, first.Sequence, next)
		})
	}
	close(start)
	group.Wait()
	for i, err := range failures {
		switch {
		case err != nil:
			refusals = append(refusals, err)
		case !acks[i].Duplicate:
			winners++
		}
	}
	return refusals, winners
}

// A message that is not there has a code of its own, for wildcards, too.
func TestTheBrokersAnswerForAChainThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stream, err := b.bus.JetStream().Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	_, err = stream.GetLastMsgForSubject(b.ctx, requested("u1").ChainKey().Filter())
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
}

// Why timers are no messages of their own: a stream that schedules lets whoever may
// write into it purge it.
func TestTheBrokerPurgesAStreamThatSchedulesForWhoeverWrites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	js := b.bus.JetStream()
	stream, err := js.CreateStream(b.ctx, jetstream.StreamConfig{Name: "SCHEDULES", Subjects: []string{"schedules.>"}, AllowMsgSchedules: true})
	require.NoError(t, err)
	for _, subject := range []string{"schedules.a", "schedules.b", "schedules.c"} {
		_, err := js.Publish(b.ctx, subject, nil)
		require.NoError(t, err)
	}
	rollup := nats.NewMsg("schedules.d")
	rollup.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupAll)
	_, err = js.PublishMsg(b.ctx, rollup)
	require.NoError(t, err)
	info, err := stream.Info(b.ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, info.State.Msgs)
}
