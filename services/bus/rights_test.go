// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// rights are the least that the pauser works with. Those of the expander and the
// updater differ in the names of consumer and facts; the expander publishes
// progress as well.
var rights = &server.Permissions{
	Publish: &server.SubjectPermission{Allow: []string{
		"opsrelay.v1.paused.>", "opsrelay.v1.resumed.>", "opsrelay.v1.failed.>", // what it says
		"$JS.API.STREAM.MSG.GET.OPSRELAY", // the ends of chains
		"$JS.API.CONSUMER.INFO.OPSRELAY.pauser", "$JS.API.CONSUMER.MSG.NEXT.OPSRELAY.pauser",
		"$JS.ACK.OPSRELAY.pauser.>", "$JS.ACK._.*.OPSRELAY.pauser.>", // of today and of servers to come
	}},
	Subscribe: &server.SubjectPermission{Allow: []string{
		"_INBOX_pauser.>", "opsrelay.live.v1.failed.>", "opsrelay.live.v1.cancelled.>",
	}},
}

func TestAServiceWorksWithTheLeastRights(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Users: []*server.User{
		{Username: "admin", Password: "admin"}, {Username: "pauser", Password: "pauser", Permissions: rights},
	}})
	connect := func(user string) *bus.Bus {
		b, err := bus.Connect(bustest.Context(t), bus.Config{Name: user, URL: fmt.Sprintf("nats://%s:%s@%s", user, user, srv.Addr())})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Close(bustest.Context(t))) })
		return b
	}
	admin := connect("admin")
	b := &bundle{bus: admin, chain: admin.Chain("watcher"), ctx: bustest.Context(t)}
	require.NoError(t, bus.Provision(b.ctx, admin.JetStream(), 1))

	confined := connect("pauser")
	runner := confined.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Source: "pauser",
		Step: bus.StepFunc(func(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
			if e.Fact == events.Requested {
				return e.Next(events.Paused), nil
			}
			return e.Next(events.Resumed), nil
		})})
	run(t, runner)
	paused := b.becomes(t, b.begin(t, "u1"), events.Paused)
	b.follow(t, paused, events.Cancelled)
	b.becomes(t, paused, events.Resumed)
	b.idle(t, events.PauserConsumer)
	require.NoError(t, runner.Ready())

	// More than that is refused, and the process says so.
	require.NoError(t, confined.JetStream().Conn().PublishMsg(nats.NewMsg("opsrelay.v1.requested.singlestore.demo.forged")))
	require.Eventually(t, func() bool { return confined.Ready() != nil }, patience, tick)
	require.ErrorContains(t, runner.Ready(), "opsrelay.v1.requested.singlestore.demo.forged")
}
