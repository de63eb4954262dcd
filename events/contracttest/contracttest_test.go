// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package contracttest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/events/contracttest"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// complaints takes what a test would fail with.
type complaints struct {
	testing.TB

	said []string
}

func (c *complaints) Errorf(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

// A subscriber that remembers ids keeps the contract, one that counts does not.
func TestHandler(t *testing.T) {
	t.Parallel()
	seen, counted := map[string]string{}, 0
	contracttest.Handler(t, func(_ context.Context, e events.Event) error {
		seen[e.ID()] = string(e.Operation.Outcome)
		return nil
	}, func() any { return seen })
	require.Len(t, seen, 42, "every fact on each of the ten ways")

	c := &complaints{TB: t}
	contracttest.Handler(c, func(context.Context, events.Event) error { counted++; return nil }, func() any { return counted })
	require.Len(t, c.said, 1)
	require.Contains(t, c.said[0], "events that came twice have changed the effect")

	c = &complaints{TB: t}
	contracttest.Handler(c, func(_ context.Context, e events.Event) error {
		if e.Fact == events.Rejected {
			return errors.New("never heard of it")
		}
		return nil
	}, func() any { return nil })
	require.Len(t, c.said, 2)
	require.Contains(t, c.said[0], `does not take "rejected"`)
}

// What the bus publishes is by the contract; what it would never publish is told.
func TestStream(t *testing.T) {
	t.Parallel()
	ctx := bustest.Context(t)
	js := bustest.Connect(t, "test").JetStream()
	require.NoError(t, bus.Provision(ctx, js, 1))
	e := events.First(events.Requested, "singlestore", events.Operation{
		Request:  events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: "grow", UID: "u"},
		Database: events.Reference{Kind: "Singlestore", Namespace: "demo", Name: "sdb"},
		Mode:     events.Online,
	})
	e.Source = "watcher"
	publish := func(e events.Event) {
		message, err := events.Encode(e)
		require.NoError(t, err)
		_, err = js.PublishMsg(ctx, message)
		require.NoError(t, err)
	}
	publish(e)
	publish(e.Next(events.Paused))
	contracttest.Stream(t, ctx, js)

	publish(e.Next(events.Paused).Next(events.Expanded).Next(events.Updated)) // nobody has said expanded
	_, err := js.PublishMsg(ctx, &nats.Msg{Subject: e.ChainKey().Subject(events.Failed), Data: []byte("{")})
	require.NoError(t, err)
	c := &complaints{TB: t}
	contracttest.Stream(c, ctx, js)
	require.Len(t, c.said, 2)
	require.Contains(t, c.said[0], `"updated" cannot follow "paused"`)
}
