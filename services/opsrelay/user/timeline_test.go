// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// What stands in a chain and is no event is told where it stands, and nothing of
// other requests.
func TestD13_TheTimelineShowsWhatIsUnreadable(t *testing.T) {
	t.Parallel()
	b, ctx := bustest.Connect(t, "watcher"), bustest.Context(t)
	first, err := b.Chain("watcher").Begin(ctx, events.First(events.Requested, "singlestore", events.Operation{
		Request: events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: "grow", UID: "u1"}, StepTimeout: 60,
		Database: events.Reference{Kind: "Singlestore", Namespace: "demo", Name: "sdb"},
	}))
	require.NoError(t, err)
	for _, uid := range []string{"u1", "u2"} {
		key := first.ChainKey()
		key.UID = uid
		_, err = b.JetStream().PublishMsg(ctx, &nats.Msg{Subject: key.Subject(events.Failed), Data: []byte("no event")})
		require.NoError(t, err)
	}
	facts, err := timeline(ctx, b.JetStream(), types.NamespacedName{Namespace: "demo", Name: "grow"}, false)
	require.NoError(t, err)
	require.Len(t, facts, 2)
	require.Equal(t, "requested", facts[0].Fact)
	require.Equal(t, "failed", facts[1].Fact)
	require.Equal(t, "Unreadable", facts[1].Failure.Reason)
	require.Equal(t, "unknown", facts[1].By)
}
