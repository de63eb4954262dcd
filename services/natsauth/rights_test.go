// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

// publishable are the subjects that each user may publish to, of all that are
// tried. It says again, by hand, what the package derives.
var publishable = map[string][]string{
	"watcher": {
		"opsrelay.v1.requested.singlestore.demo.u1", "opsrelay.v1.rejected.singlestore.demo.u1",
		"opsrelay.v1.cancelled.singlestore.demo.u1", "opsrelay.v1.failed.singlestore.demo.u1",
		"$JS.API.STREAM.MSG.GET.OPSRELAY",
		"opsrelay.probe.v1.watcher", "$JS.API.STREAM.INFO.OPSRELAY", "$JS.API.INFO",
		"$JS.API.CONSUMER.INFO.OPSRELAY.watcher", "$JS.API.CONSUMER.MSG.NEXT.OPSRELAY.watcher",
		"$JS.ACK.OPSRELAY.watcher.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY.watcher.1.1.1.1.0",
		"$JS.API.CONSUMER.INFO.OPSRELAY.timeout", "$JS.API.CONSUMER.MSG.NEXT.OPSRELAY.timeout",
		"$JS.ACK.OPSRELAY.timeout.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY.timeout.1.1.1.1.0",
		"$JS.API.CONSUMER.INFO.OPSRELAY_DEAD_LETTERS.deadletter", "$JS.API.CONSUMER.MSG.NEXT.OPSRELAY_DEAD_LETTERS.deadletter",
		"$JS.ACK.OPSRELAY_DEAD_LETTERS.deadletter.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY_DEAD_LETTERS.deadletter.1.1.1.1.0",
	},
	"pauser": {
		"opsrelay.v1.paused.singlestore.demo.u1", "opsrelay.v1.resumed.singlestore.demo.u1", "opsrelay.v1.failed.singlestore.demo.u1",
		"$JS.API.STREAM.MSG.GET.OPSRELAY",
		"opsrelay.probe.v1.pauser",
		"$JS.API.CONSUMER.INFO.OPSRELAY.pauser", "$JS.API.CONSUMER.MSG.NEXT.OPSRELAY.pauser",
		"$JS.ACK.OPSRELAY.pauser.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY.pauser.1.1.1.1.0",
	},
	"expander": {
		"opsrelay.v1.expanded.singlestore.demo.u1", "opsrelay.v1.failed.singlestore.demo.u1",
		"opsrelay.progress.v1.singlestore.demo.u1.claim",
		"$JS.API.STREAM.MSG.GET.OPSRELAY",
		"opsrelay.probe.v1.expander",
		"$JS.API.CONSUMER.INFO.OPSRELAY.expander", "$JS.API.CONSUMER.MSG.NEXT.OPSRELAY.expander",
		"$JS.ACK.OPSRELAY.expander.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY.expander.1.1.1.1.0",
	},
	"updater": {
		"opsrelay.v1.updated.singlestore.demo.u1", "opsrelay.v1.failed.singlestore.demo.u1",
		"$JS.API.STREAM.MSG.GET.OPSRELAY",
		"opsrelay.probe.v1.updater",
		"$JS.API.CONSUMER.INFO.OPSRELAY.updater", "$JS.API.CONSUMER.MSG.NEXT.OPSRELAY.updater",
		"$JS.ACK.OPSRELAY.updater.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY.updater.1.1.1.1.0",
	},
	"provision": {
		"$JS.API.INFO",
		"$JS.API.STREAM.INFO.OPSRELAY", "$JS.API.STREAM.INFO.OPSRELAY_PROGRESS", "$JS.API.STREAM.INFO.OPSRELAY_DEAD_LETTERS",
		"$JS.API.STREAM.CREATE.OPSRELAY", "$JS.API.STREAM.UPDATE.OPSRELAY",
		"$JS.API.STREAM.CREATE.OPSRELAY_PROGRESS", "$JS.API.STREAM.UPDATE.OPSRELAY_PROGRESS",
		"$JS.API.STREAM.CREATE.OPSRELAY_DEAD_LETTERS", "$JS.API.STREAM.UPDATE.OPSRELAY_DEAD_LETTERS",
		"$JS.API.CONSUMER.CREATE.OPSRELAY.watcher.opsrelay.v1.>", "$JS.API.CONSUMER.CREATE.OPSRELAY.pauser",
		"$JS.API.CONSUMER.CREATE.OPSRELAY.expander.opsrelay.v1.paused.>", "$JS.API.CONSUMER.CREATE.OPSRELAY.updater.opsrelay.v1.expanded.>",
		"$JS.API.CONSUMER.CREATE.OPSRELAY.timeout",
		"$JS.API.CONSUMER.CREATE.OPSRELAY_DEAD_LETTERS.deadletter.$JS.EVENT.ADVISORY.CONSUMER.>",
		"$JS.API.CONSUMER.CREATE.OPSRELAY.partner.opsrelay.v1.>", "$JS.API.CONSUMER.CREATE.OPSRELAY_PROGRESS.partner.opsrelay.progress.v1.>",
		"$JS.API.CONSUMER.CREATE.OPSRELAY.stranger.opsrelay.v1.>", "$JS.API.CONSUMER.CREATE.OPSRELAY_PROGRESS.stranger.opsrelay.progress.v1.>",
		// A filter that is a part of its own is within it.
		"$JS.API.CONSUMER.CREATE.OPSRELAY.watcher.opsrelay.v1.resumed.>",
		"$JS.API.CONSUMER.CREATE.OPSRELAY.partner.opsrelay.v1.resumed.>", "$JS.API.CONSUMER.CREATE.OPSRELAY.stranger.opsrelay.v1.resumed.>",
	},
	"board": {
		"$JS.API.STREAM.MSG.GET.OPSRELAY",
		"$JS.API.CONSUMER.CREATE.OPSRELAY.mine", "$JS.API.CONSUMER.DELETE.OPSRELAY.mine", "$JS.API.CONSUMER.INFO.OPSRELAY.mine",
		"$JS.API.CONSUMER.MSG.NEXT.OPSRELAY.mine", "$JS.ACK.OPSRELAY.mine.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY.mine.1.1.1.1.0",
		"$JS.API.CONSUMER.CREATE.OPSRELAY_PROGRESS.mine", "$JS.API.CONSUMER.DELETE.OPSRELAY_PROGRESS.mine", "$JS.API.CONSUMER.INFO.OPSRELAY_PROGRESS.mine",
		"$JS.API.CONSUMER.MSG.NEXT.OPSRELAY_PROGRESS.mine", "$JS.ACK.OPSRELAY_PROGRESS.mine.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY_PROGRESS.mine.1.1.1.1.0",
	},
	"operator": {
		"$JS.API.STREAM.MSG.GET.OPSRELAY",
		"$JS.API.CONSUMER.CREATE.OPSRELAY.mine", "$JS.API.CONSUMER.DELETE.OPSRELAY.mine", "$JS.API.CONSUMER.INFO.OPSRELAY.mine",
		"$JS.API.CONSUMER.MSG.NEXT.OPSRELAY.mine", "$JS.ACK.OPSRELAY.mine.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY.mine.1.1.1.1.0",
		"$JS.API.CONSUMER.CREATE.OPSRELAY_PROGRESS.mine", "$JS.API.CONSUMER.DELETE.OPSRELAY_PROGRESS.mine", "$JS.API.CONSUMER.INFO.OPSRELAY_PROGRESS.mine",
		"$JS.API.CONSUMER.MSG.NEXT.OPSRELAY_PROGRESS.mine", "$JS.ACK.OPSRELAY_PROGRESS.mine.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY_PROGRESS.mine.1.1.1.1.0",
		"$JS.API.INFO", "opsrelay.probe.v1.operator",
		"$JS.API.STREAM.INFO.OPSRELAY", "$JS.API.STREAM.INFO.OPSRELAY_PROGRESS",
		"$JS.API.STREAM.INFO.OPSRELAY_DEAD_LETTERS", "$JS.API.STREAM.MSG.GET.OPSRELAY_DEAD_LETTERS",
		"$JS.API.CONSUMER.INFO.OPSRELAY.watcher", "$JS.API.CONSUMER.INFO.OPSRELAY.pauser", "$JS.API.CONSUMER.INFO.OPSRELAY.expander",
		"$JS.API.CONSUMER.INFO.OPSRELAY.updater", "$JS.API.CONSUMER.INFO.OPSRELAY.timeout", "$JS.API.CONSUMER.INFO.OPSRELAY_DEAD_LETTERS.deadletter",
		"$JS.API.CONSUMER.PAUSE.OPSRELAY.watcher", "$JS.API.CONSUMER.PAUSE.OPSRELAY.pauser", "$JS.API.CONSUMER.PAUSE.OPSRELAY.expander",
		"$JS.API.CONSUMER.PAUSE.OPSRELAY.updater", "$JS.API.CONSUMER.RESET.OPSRELAY.watcher", "$JS.API.CONSUMER.RESET.OPSRELAY.pauser",
		"$JS.API.CONSUMER.RESET.OPSRELAY.expander", "$JS.API.CONSUMER.RESET.OPSRELAY.updater",
	},
	// In its own account, into which no more of the relay's is imported.
	"partner": {
		"OPSRELAY.API.CONSUMER.INFO.OPSRELAY.partner", "OPSRELAY.API.CONSUMER.MSG.NEXT.OPSRELAY.partner",
		"$JS.ACK.OPSRELAY.partner.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY.partner.1.1.1.1.0",
		"OPSRELAY.API.CONSUMER.INFO.OPSRELAY_PROGRESS.partner", "OPSRELAY.API.CONSUMER.MSG.NEXT.OPSRELAY_PROGRESS.partner",
		"$JS.ACK.OPSRELAY_PROGRESS.partner.1.1.1.1.0", "$JS.ACK._.acc.OPSRELAY_PROGRESS.partner.1.1.1.1.0",
	},
}

// subscribable are what each user may subscribe to.
var subscribable = map[string][]string{
	"watcher":   {"_INBOX_watcher.>", "_INBOX_watcher.x.1", "opsrelay.live.v1.failed.>", "opsrelay.live.v1.cancelled.>", "opsrelay.progress.v1.>"},
	"pauser":    {"_INBOX_pauser.>", "_INBOX_pauser.x.1", "opsrelay.live.v1.failed.>", "opsrelay.live.v1.cancelled.>"},
	"expander":  {"_INBOX_expander.>", "_INBOX_expander.x.1", "opsrelay.live.v1.failed.>", "opsrelay.live.v1.cancelled.>"},
	"updater":   {"_INBOX_updater.>", "_INBOX_updater.x.1", "opsrelay.live.v1.failed.>", "opsrelay.live.v1.cancelled.>"},
	"provision": {"_INBOX_provision.>", "_INBOX_provision.x.1"},
	"board":     {"_INBOX_board.>", "_INBOX_board.x.1"},
	"operator":  {"_INBOX_operator.>", "_INBOX_operator.x.1"},
	"partner":   {"_INBOX_partner.>", "_INBOX_partner.x.1"},
}

// tried are all subjects that publishing is tried on: every family there is.
func tried() []string {
	subjects := []string{
		"anything", "opsrelay.v1", "opsrelay.v1.unknown.singlestore.demo.u1", "opsrelay.v1.failed.singlestore.demo", "opsrelay.v1.failed.singlestore.demo.u1.more",
		"opsrelay.timer.v1.singlestore.demo.u1", "opsrelay.timeout.v1.paused.singlestore.demo.u1", "opsrelay.progress.v1.singlestore.demo.u1.claim",
		"opsrelay.v2.failed.singlestore.demo.u1", "_INBOX.x.1", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.OPSRELAY.pauser",
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.ACCOUNT.PURGE.OPSRELAY", "$JS.API.META.LEADER.STEPDOWN",
		"$JS.API.STREAM.CREATE.OTHER", "$JS.API.CONSUMER.CREATE.OPSRELAY", "$JS.FC.OPSRELAY.pauser.1", "$JSC.R.x",
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.OPSRELAY.CONNZ", "$SYS.REQ.USER.INFO", "$SRV.PING", "$KV.bucket.key", "$O.bucket.C.x",
		"OPSRELAY.API.STREAM.MSG.GET.OPSRELAY", "OPSRELAY.API.CONSUMER.CREATE.OPSRELAY.partner.opsrelay.v1.>", "OPSRELAY.API.INFO",
	}
	// The stream of timers that version 1 had.
	for _, verb := range []string{"CREATE", "UPDATE", "DELETE", "PURGE", "INFO", "MSG.GET", "MSG.DELETE"} {
		subjects = append(subjects, "$JS.API.STREAM."+verb+".OPSRELAY_TIMERS")
	}
	for _, fact := range events.Facts() {
		subjects = append(subjects, fmt.Sprintf("opsrelay.v1.%s.singlestore.demo.u1", fact), fmt.Sprintf("opsrelay.live.v1.%s.singlestore.demo.u1", fact))
	}
	for _, stream := range events.Streams(1) {
		for _, verb := range []string{
			"CREATE", "UPDATE", "DELETE", "PURGE", "INFO", "MSG.GET", "MSG.DELETE", "SNAPSHOT", "RESTORE", "TEMPLATE.CREATE",
			"LEADER.STEPDOWN", "PEER.REMOVE",
		} {
			subjects = append(subjects, "$JS.API.STREAM."+verb+"."+stream.Name)
		}
		subjects = append(subjects, "$JS.API.DIRECT.GET."+stream.Name, "$JS.API.DIRECT.GET."+stream.Name+".opsrelay.v1.failed.singlestore.demo.u1",
			"$JS.API.CONSUMER.NAMES."+stream.Name, "$JS.API.CONSUMER.LIST."+stream.Name)
	}
	consumers := append(events.Consumers(), natsauth.SubscriberConsumers("partner")...)
	consumers = append(consumers, natsauth.SubscriberConsumers("stranger")...)
	for _, stream := range events.Streams(1) {
		consumers = append(consumers, events.Consumer{Stream: stream.Name, Name: "mine", Subjects: []string{events.AllFacts}})
	}
	for _, consumer := range consumers {
		name := consumer.Stream + "." + consumer.Name
		for _, verb := range []string{"CREATE", "DURABLE.CREATE", "DELETE", "INFO", "MSG.NEXT", "PAUSE", "RESET", "UNPIN", "LEADER.STEPDOWN"} {
			subjects = append(subjects, "$JS.API.CONSUMER."+verb+"."+name)
		}
		subjects = append(subjects, "$JS.API.CONSUMER.CREATE."+name+"."+consumer.Subjects[0], "$JS.API.CONSUMER.CREATE."+name+".opsrelay.v1.resumed.>",
			"$JS.ACK."+name+".1.1.1.1.0", "$JS.ACK._.acc."+name+".1.1.1.1.0",
			"OPSRELAY.API.CONSUMER.INFO."+name, "OPSRELAY.API.CONSUMER.MSG.NEXT."+name, "OPSRELAY.API.CONSUMER.DELETE."+name)
	}
	for user := range publishable {
		subjects = append(subjects, "_INBOX_"+user+".x.1", "opsrelay.probe.v1."+user)
	}
	slices.Sort(subjects)
	return slices.Compact(subjects)
}

// listened are all subjects that subscribing is tried on.
func listened() []string {
	subjects := []string{
		">", "*", "opsrelay.>", "opsrelay.v1.>", "opsrelay.live.>", "opsrelay.live.v1.>", "opsrelay.progress.v1.>", "opsrelay.timer.v1.>",
		"opsrelay.timeout.v1.>", "_INBOX.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$JS.EVENT.ADVISORY.>",
		"$SYS.>", "$SRV.>", "$KV.>", "OPSRELAY.API.>", "_R_.>",
	}
	for _, fact := range events.Facts() {
		subjects = append(subjects, events.FactFilter(fact), events.LiveFilter(fact))
	}
	for user := range subscribable {
		subjects = append(subjects, "_INBOX_"+user+".>", "_INBOX_"+user+".x.1")
	}
	return subjects
}

// TestAUserMayDoWhatItsTableSaysAndNothingElse tries every subject with every
// user, and compares what the server refuses.
func TestAUserMayDoWhatItsTableSaysAndNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{Subscribers: []string{"partner", "stranger"}})
	s.provision(t)
	for user := range publishable {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := s.client(t, user)
			for _, allowed := range publishable[user] {
				require.Contains(t, tried(), allowed)
			}
			var publish, subscribe []string
			for _, subject := range tried() {
				require.NoError(t, c.Publish(subject, nil))
				if !slices.Contains(publishable[user], subject) {
					publish = append(publish, fmt.Sprintf("Permissions Violation for Publish to %q", subject))
				}
			}
			for _, subject := range listened() {
				_, err := c.Subscribe(subject, func(*nats.Msg) {})
				require.NoError(t, err)
				if !slices.Contains(subscribable[user], subject) {
					subscribe = append(subscribe, fmt.Sprintf("Permissions Violation for Subscription to %q", subject))
				}
			}
			expected := append(publish, subscribe...)
			// The server answers in order, so after this one it has said it all.
			require.NoError(t, c.Publish("the.end", nil))
			expected = append(expected, `Permissions Violation for Publish to "the.end"`)
			require.Eventually(t, func() bool { return slices.Contains(c.all(), expected[len(expected)-1]) }, patience, tick)
			require.ElementsMatch(t, expected, c.all())
		})
	}
}

// TestTheTableNamesEveryConsumerAndFact fails when the contract grows and the
// rights do not.
func TestTheTableNamesEveryConsumerAndFact(t *testing.T) {
	t.Parallel()
	var all []string
	for _, user := range natsauth.Users() {
		all = append(all, user.Rights.Publish...)
		require.Contains(t, publishable, user.Name, "nothing is tried with this user")
		require.Contains(t, subscribable, user.Name, "nothing is tried with this user")
	}
	for _, consumer := range events.Consumers() {
		require.True(t, slices.Contains(all, "$JS.API.CONSUMER.MSG.NEXT."+consumer.Stream+"."+consumer.Name), consumer.Name)
	}
	for _, fact := range events.Facts() {
		require.True(t, slices.Contains(all, "opsrelay.v1."+string(fact)+".*.*.*"), fact)
	}
	table, err := json.Marshal(natsauth.Users("partner"))
	require.NoError(t, err)
	require.NotContains(t, string(table), `">"`)
}
