// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/opsrelay/opsrelay/events"
)

// Ready returns nil when the broker can be worked with, otherwise the reason in
// words: it is not connected, it did not store what was published last, or it
// forbade something, which stays a reason until the next reconnect.
func (b *Bus) Ready() error {
	if status := b.conn.Status(); status != nats.CONNECTED {
		return fmt.Errorf("not connected to NATS: %s", status)
	}
	if err := b.Writable(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}

// onError hears what no call returns: a denied publish only times out, and its
// reason comes here.
func (b *Bus) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	event := b.log.Warn()
	if sub != nil {
		event = event.Str("subject", sub.Subject)
	}
	event.Err(err).Msg("nats error")
	// An older set of users may have no right to probe, which is no reason not to
	// work: what is published for a purpose tells as much.
	if errors.Is(err, nats.ErrPermissionViolation) && !strings.Contains(err.Error(), events.ProbeSubject(b.name)) {
		b.mu.Lock()
		b.refused = fmt.Errorf("the broker refuses what this user does: %w", err)
		b.mu.Unlock()
	}
}

func (b *Bus) onDisconnect(_ *nats.Conn, err error) {
	b.tellConnected(0)
	if err != nil {
		b.log.Warn().Err(err).Msg("connection to nats lost, reconnecting")
	}
}

func (b *Bus) onReconnect(conn *nats.Conn) {
	b.mu.Lock()
	b.refused, b.reconnectedAt = nil, time.Now()
	callbacks := make([]func(), 0, len(b.reconnected))
	for callback := range b.reconnected {
		callbacks = append(callbacks, *callback)
	}
	b.mu.Unlock()
	b.tellConnected(1)
	b.log.Info().Str("server", conn.ConnectedServerName()).Msg("reconnected to nats")
	for _, callback := range callbacks {
		callback()
	}
}

// afterReconnect has the callback called, which must not block, after each
// reconnect until the returned function is called.
func (b *Bus) afterReconnect(callback func()) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := &callback
	b.reconnected[key] = struct{}{}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.reconnected, key)
	}
}

func (b *Bus) tellWritable() {
	value := 1.0
	if b.Writable() != nil {
		value = 0
	}
	b.metrics.Load().writable.WithLabelValues(b.name).Set(value)
}

func (b *Bus) tellConnected(value float64) {
	b.metrics.Load().connected.WithLabelValues(b.name).Set(value)
}
