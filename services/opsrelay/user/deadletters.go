// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// DeadLetter is the element of `dead-letters list -o json`.
type DeadLetter struct {
	Number     uint64    `json:"number"`
	Time       time.Time `json:"time"`
	Consumer   string    `json:"consumer"`
	Deliveries uint64    `json:"deliveries"`
	Reason     string    `json:"reason,omitempty"`
	Sequence   uint64    `json:"sequence"`
	Request    string    `json:"request,omitempty"`
	Fact       string    `json:"fact,omitempty"`
	Unreadable string    `json:"unreadable,omitempty"`
	// Operation is the event's payload; in `show` only.
	Operation *events.Operation `json:"operation,omitempty"`
}

func letter(l bus.DeadLetter) DeadLetter {
	d := DeadLetter{
		Number: l.Number, Time: l.Time, Consumer: l.Consumer, Deliveries: l.Deliveries, Reason: l.Reason, Sequence: l.Sequence,
		Fact: string(l.Event.Fact),
	}
	if request := l.Event.Operation.Request; request.Name != "" {
		d.Request = request.Namespace + "/" + request.Name
	}
	if l.Unreadable != nil {
		d.Unreadable = l.Unreadable.Error()
	}
	return d
}

func deadLettersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead-letters",
		Short: "Look at what the broker gave up on, and have it delivered again",
		Long: `A dead letter is a fact that no replica of a service could answer, however often it
was delivered: its workers died each time. The watcher fails its request, so that
the database is resumed; the letter stays for people to look at.`,
	}
	cmd.AddCommand(deadLettersListCommand(), deadLettersShowCommand(), deadLettersReplayCommand())
	return cmd
}

func deadLettersListCommand() *cobra.Command {
	var (
		nats *broker
		out  *output
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List them, oldest first", Args: cobra.NoArgs,
		Example: "  opsrelay dead-letters list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			return nats.do(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				found, err := b.DeadLetters(ctx)
				if err != nil {
					return err
				}
				var letters []DeadLetter
				for _, l := range found {
					letters = append(letters, letter(l))
				}
				return printAll(cmd.OutOrStdout(), out, letters, deadLetterColumns)
			})
		},
	}
	nats, out = newBroker(cmd.Flags()), newOutput(cmd.Flags())
	return cmd
}

// deadLetterColumns is the table of dead letters.
var deadLetterColumns = []column[DeadLetter]{
	{name: "NUMBER", value: func(d DeadLetter) string { return strconv.FormatUint(d.Number, 10) }},
	{name: "AGE", value: func(d DeadLetter) string { return age(d.Time) }},
	{name: "SERVICE", value: func(d DeadLetter) string { return d.Consumer }},
	{name: "DELIVERIES", value: func(d DeadLetter) string { return strconv.FormatUint(d.Deliveries, 10) }},
	{name: "REQUEST", value: func(d DeadLetter) string { return d.Request }},
	{name: "FACT", value: func(d DeadLetter) string { return d.Fact }},
	{name: "WHY", value: func(d DeadLetter) string {
		switch {
		case d.Unreadable != "":
			return d.Unreadable
		case d.Reason != "":
			return d.Reason
		default:
			return "never answered"
		}
	}},
}

// numbered reads a letter's number, and calls work with the letter.
func numbered(ctx context.Context, nats *broker, argument string, work func(context.Context, *bus.Bus, bus.DeadLetter) error) error {
	number, err := strconv.ParseUint(argument, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no number of `opsrelay dead-letters list`", argument)
	}
	return nats.do(ctx, func(ctx context.Context, b *bus.Bus) error {
		l, err := b.DeadLetter(ctx, number)
		if err != nil {
			return err
		}
		return work(ctx, b, l)
	})
}

func deadLettersShowCommand() *cobra.Command {
	var nats *broker
	cmd := &cobra.Command{
		Use: "show NUMBER", Short: "Show one with its whole event, as YAML", Args: cobra.ExactArgs(1),
		Example: "  opsrelay dead-letters show 3",
		RunE: func(cmd *cobra.Command, args []string) error {
			return numbered(cmd.Context(), nats, args[0], func(_ context.Context, _ *bus.Bus, l bus.DeadLetter) error {
				d := letter(l)
				if l.Unreadable == nil {
					d.Operation = &l.Event.Operation
				}
				return printAll(cmd.OutOrStdout(), &output{format: formatYAML}, []DeadLetter{d}, nil)
			})
		},
	}
	nats = newBroker(cmd.Flags())
	return cmd
}

func deadLettersReplayCommand() *cobra.Command {
	var nats *broker
	cmd := &cobra.Command{
		Use: "replay NUMBER", Short: "Have one delivered again", Args: cobra.ExactArgs(1),
		Long: `Replay has the broker deliver the fact again, with all that the same service got
after it; what is answered already is left alone. A request that has failed
meanwhile is not revived: ask again with opsrelay retry.`,
		Example: "  opsrelay dead-letters replay 3",
		RunE: func(cmd *cobra.Command, args []string) error {
			return numbered(cmd.Context(), nats, args[0], func(ctx context.Context, b *bus.Bus, l bus.DeadLetter) error {
				err := b.Replay(ctx, l)
				if errors.Is(err, bus.ErrAnswered) {
					d := letter(l)
					return fmt.Errorf("%w; ask again with: opsrelay retry %s", err, d.Request)
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%q of request %s is delivered to the %s again\n", l.Event.Fact, letter(l).Request, l.Consumer)
				return err
			})
		},
	}
	nats = newBroker(cmd.Flags())
	return cmd
}
