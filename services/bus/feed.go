// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/opsrelay/opsrelay/events"
)

// WatchProgress calls handle with the progress of every volume while it is told,
// one after the other, until the context ends. It is at most once, as progress
// is: for showing, never for deciding.
func (b *Bus) WatchProgress(ctx context.Context, handle func(events.Progress)) error {
	subscription, err := b.conn.Subscribe(events.ProgressFilter(), func(msg *nats.Msg) {
		if p, err := events.DecodeProgress(msg.Data); err == nil {
			handle(p)
		}
	})
	switch {
	case ctx.Err() != nil && err != nil:
		return nil
	case err != nil:
		return fmt.Errorf("watch the progress: %w", err)
	}
	<-ctx.Done()
	_ = subscription.Unsubscribe() // a connection that is gone has forgotten it
	return nil
}
