// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// FollowProgress calls the handler with the newest progress of each volume, and
// from then on with every change, until the context ends, and returns nil then. It
// needs no acknowledgement and may skip states in between: it is for showing.
func FollowProgress(ctx context.Context, js jetstream.JetStream, handle func(Progress)) error {
	return unlessEnded(ctx, followProgress(ctx, js, handle))
}

func followProgress(ctx context.Context, js jetstream.JetStream, handle func(Progress)) error {
	consumer, err := js.OrderedConsumer(ctx, ProgressStream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy})
	if err != nil {
		return fmt.Errorf("follow stream %s: %w", ProgressStream, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("follow stream %s: %w", ProgressStream, err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		msg, err := messages.Next(jetstream.NextMaxWait(turn))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoHeartbeat):
			continue
		case err != nil:
			return fmt.Errorf("follow stream %s: %w", ProgressStream, err)
		}
		if p, err := DecodeProgress(msg.Data()); err == nil {
			handle(p)
		}
	}
}
