// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// Fact is one line of `events -o json`: an event with what names it.
type Fact struct {
	ID        string           `json:"id"`
	Sequence  uint64           `json:"sequence"`
	Time      time.Time        `json:"time"`
	Source    string           `json:"source"`
	Kind      string           `json:"kind"`
	Fact      string           `json:"fact"`
	Operation events.Operation `json:"operation"`
}

func eventsCommand() *cobra.Command {
	var (
		nats   *broker
		facts  []string
		follow bool
		out    *output
		since  time.Duration
		chosen events.Subscription
	)
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print the public event stream",
		Long: `Events prints the facts of all requests, oldest first; with --follow also those to
come. For another program -o json prints an object a line, -o yaml a document each.`,
		Example: `  opsrelay events --since 1h
  opsrelay events -f --fact failed --fact rejected -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			for _, name := range facts {
				fact := events.Fact(name)
				if !fact.Known() {
					return fmt.Errorf("--fact %q is none of %v", name, events.Facts())
				}
				chosen.Facts = append(chosen.Facts, fact)
			}
			if since > 0 {
				chosen.Since = time.Now().Add(-since)
			}
			err := nats.do(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				if follow {
					return events.Subscribe(ctx, b.JetStream(), chosen, func(_ context.Context, e events.Event) error {
						return printFact(cmd.OutOrStdout(), out.format, e)
					})
				}
				for e, err := range events.History(ctx, b.JetStream(), chosen) {
					if err == nil {
						err = printFact(cmd.OutOrStdout(), out.format, e)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			if follow && cmd.Context().Err() != nil {
				return nil // interrupted, before the broker had answered
			}
			return err
		},
	}
	flags := cmd.Flags()
	nats = newBroker(flags)
	flags.StringVarP(&chosen.Namespace, "namespace", "n", "", "only requests of this namespace")
	flags.StringVar(&chosen.Kind, "kind", "", "only databases of this kind, in lower case: singlestore")
	flags.StringVar(&chosen.UID, "uid", "", "only the request with this uid")
	flags.StringSliceVar(&facts, "fact", nil, "only this fact; may be given several times")
	flags.DurationVar(&since, "since", 0, "only facts that are younger")
	flags.BoolVarP(&follow, "follow", "f", false, "go on with the facts to come, until interrupted")
	out = &output{}
	out.addFormat(flags)
	return cmd
}

// printFact prints one line. It must not wait for others, so its columns have
// fixed widths.
func printFact(out io.Writer, format string, e events.Event) error {
	op := e.Operation
	fact := Fact{ID: e.ID(), Sequence: e.Sequence, Time: e.Time, Source: e.Source, Kind: e.Kind, Fact: string(e.Fact), Operation: op}
	switch format {
	case formatJSON:
		return json.NewEncoder(out).Encode(fact)
	case formatYAML:
		text, err := yaml.Marshal(fact)
		if err != nil {
			return fmt.Errorf("print as YAML: %w", err)
		}
		_, err = fmt.Fprintf(out, "---\n%s", text)
		return err
	case formatWide:
		if _, err := fmt.Fprintf(out, "%-8d  %s  ", e.Sequence, op.Request.UID); err != nil {
			return err
		}
	}
	what := string(op.Outcome)
	if op.Failure != nil {
		what = op.Failure.Error()
	}
	_, err := fmt.Fprintf(out, "%s  %-9s  %-8s  %s/%s  %s  %s\n", e.Time.UTC().Format(timeFormat), e.Fact, e.Source,
		op.Request.Namespace, op.Request.Name, op.Database.Name, orDash(what))
	return err
}

// timeFormat is RFC 3339 to the millisecond.
const timeFormat = "2006-01-02T15:04:05.000Z"
