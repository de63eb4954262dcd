// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// stopPulling returns when no message is asked for any more, and has given back
// what was delivered and not begun. While a request stands, what the steps give
// back would come back here, and count as one more delivery. The client ends the
// request in the background: it has done so when there is no next message.
func (r *Runner) stopPulling(ctx context.Context, messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		msg, err := messages.Next(jetstream.NextMaxWait(requestTimeout))
		if err != nil {
			return
		}
		r.giveBack(ctx, msg)
	}
}

// handOver waits until what was begun has been given back by its worker.
func (r *Runner) handOver(ctx context.Context) {
	select {
	case <-r.flights.empty():
	case <-time.After(handOverGrace):
		for _, f := range r.flights.all() {
			r.giveBack(ctx, f.message())
		}
	}
	if err := r.bus.conn.FlushTimeout(requestTimeout); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("handed-over messages may come late")
	}
}

// giveBack has the message delivered to another worker at once.
func (r *Runner) giveBack(ctx context.Context, msg jetstream.Msg) {
	if err := msg.Nak(); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("cannot hand over a message, another worker gets it later")
	}
}
