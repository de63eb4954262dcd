// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// Passed is one fact of a timeline: the element of `timeline -o json`.
type Passed struct {
	UID  string    `json:"uid"`
	Fact string    `json:"fact"`
	Time time.Time `json:"time"`
	// Took is how long the step took that ended with the fact, in seconds.
	Took float64 `json:"took"`
	By   string  `json:"by"`
	// Attempts is how often the fact before was delivered until it was answered.
	Attempts int    `json:"attempts,omitempty"`
	Sequence uint64 `json:"sequence"`
	// Outcome is set at the end, Failure from where it failed.
	Outcome string          `json:"outcome,omitempty"`
	Failure *events.Failure `json:"failure,omitempty"`
}

func timelineCommand() *cobra.Command {
	var (
		where *cluster
		nats  *broker
		out   *output
		all   bool
	)
	cmd := &cobra.Command{
		Use:   "timeline [NAMESPACE/]NAME",
		Short: "Tell what happened to a request, also one that is deleted",
		Long: `Timeline prints every fact of a request, with its time, how long the step took and
who did it. It reads the event stream, which keeps the facts of requests that were
deleted long ago. Of several requests of one name it tells the newest, or --all.`,
		Example: "  opsrelay timeline demo/sdb-grow",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			key, err := where.object(args[0])
			if err != nil {
				return err
			}
			return nats.do(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				facts, err := timeline(ctx, b.JetStream(), key, all)
				if err != nil {
					return err
				}
				return printAll(cmd.OutOrStdout(), out, facts, timelineColumns)
			})
		},
	}
	where, nats, out = newCluster(cmd.Flags()), newBroker(cmd.Flags()), newOutput(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "every request that had the name, oldest first")
	return cmd
}

// timelineColumns is the table of facts.
var timelineColumns = []column[Passed]{
	{name: "TIME", value: func(p Passed) string { return p.Time.UTC().Format(timeFormat) }},
	{name: "FACT", value: func(p Passed) string { return p.Fact }},
	{name: "TOOK", value: func(p Passed) string { return strconv.FormatFloat(p.Took, 'f', 3, 64) + " s" }},
	{name: "BY", value: func(p Passed) string { return p.By }},
	{name: "ATTEMPTS", value: func(p Passed) string { return positive(p.Attempts) }},
	{name: "WHAT", value: func(p Passed) string {
		switch {
		case p.Failure != nil:
			return p.Failure.Error()
		default:
			return p.Outcome
		}
	}},
	{name: "SEQUENCE", value: func(p Passed) string { return strconv.FormatUint(p.Sequence, 10) }, wide: true},
	{name: "UID", value: func(p Passed) string { return p.UID }, wide: true},
}

func positive(n int) string {
	if n < 1 {
		return ""
	}
	return strconv.Itoa(n)
}

// timeline reads the chains of the requests that have or had the name.
func timeline(ctx context.Context, js jetstream.JetStream, key types.NamespacedName, all bool) ([]Passed, error) {
	var facts []Passed
	last := map[string]time.Time{} // by uid, when its newest fact was
	newest := ""
	var unreadable []events.Unreadable
	stored := events.Subscription{Filter: events.Filter{Namespace: key.Namespace},
		Unreadable: func(u events.Unreadable) { unreadable = append(unreadable, u) }}
	for e, err := range events.History(ctx, js, stored) {
		if err != nil {
			return nil, err
		}
		op := e.Operation
		if op.Request.Name != key.Name {
			continue
		}
		before, seen := last[op.Request.UID]
		if !seen {
			newest, before = op.Request.UID, e.Time
		}
		last[op.Request.UID] = e.Time
		facts = append(facts, Passed{
			UID: op.Request.UID, Fact: string(e.Fact), Time: e.Time, Took: max(0, e.Time.Sub(before).Seconds()), By: e.Source,
			Attempts: e.Attempts(), Sequence: e.Sequence, Outcome: string(op.Outcome), Failure: op.Failure,
		})
	}
	facts = withUnreadable(facts, unreadable)
	if len(facts) == 0 {
		return nil, fmt.Errorf("the stream knows nothing of a request %s: it keeps facts for %s, and only of requests that the watcher has looked at", key, events.Retention)
	}
	if all {
		return facts, nil
	}
	chosen := facts[:0]
	for _, fact := range facts {
		if fact.UID == newest {
			chosen = append(chosen, fact)
		}
	}
	return chosen, nil
}

// withUnreadable adds what stands in the chains of the facts and is none, in the
// order of the stream.
func withUnreadable(facts []Passed, unreadable []events.Unreadable) []Passed {
	known := map[string]bool{}
	for _, fact := range facts {
		known[fact.UID] = true
	}
	for _, u := range unreadable {
		if known[u.Chain.UID] {
			facts = append(facts, Passed{
				UID: u.Chain.UID, Fact: string(u.Fact), Time: u.Time, By: "unknown", Sequence: u.Sequence, Failure: &events.Failure{
					Step: u.Fact.Step(), Object: "message " + strconv.FormatUint(u.Sequence, 10), Reason: "Unreadable", Message: u.Err.Error(),
				},
			})
		}
	}
	slices.SortStableFunc(facts, func(a, b Passed) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return facts
}
