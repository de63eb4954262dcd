// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"time"

	"github.com/opsrelay/opsrelay/events"
)

// LastSince is the event that newestSince finds.
func (c *Chain) LastSince(ctx context.Context, key events.ChainKey, sequence uint64, patience time.Duration) (events.Event, error) {
	newest, err := c.newestSince(ctx, key, sequence, patience)
	if err != nil {
		return events.Event{}, err
	}
	return eventOf(newest)
}
