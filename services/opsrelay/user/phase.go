// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// phases are the services that can be held, by name.
var phases = map[string]events.Consumer{
	events.PauserConsumer.Name:   events.PauserConsumer,
	events.ExpanderConsumer.Name: events.ExpanderConsumer,
	events.UpdaterConsumer.Name:  events.UpdaterConsumer,
}

// phaseNames are the names of phases, in the order of the relay.
var phaseNames = []string{events.PauserConsumer.Name, events.ExpanderConsumer.Name, events.UpdaterConsumer.Name}

func phase(name string) (events.Consumer, error) {
	consumer, ok := phases[name]
	if !ok {
		return events.Consumer{}, fmt.Errorf("%q is no phase; there are %v", name, phaseNames)
	}
	return consumer, nil
}

func pausePhaseCommand() *cobra.Command {
	var (
		nats  *broker
		until string
		span  time.Duration
	)
	cmd := &cobra.Command{
		Use:   "pause-phase pauser|expander|updater",
		Short: "Hold one service's work, for maintenance",
		Long: `Pause-phase has the broker give no further work to all replicas of one service
until a time. What a replica has begun goes on. Requests wait where they are; those
whose step has a deadline before the end of the pause will fail at it, so keep it
shorter than their timeout.`,
		Example: `  opsrelay pause-phase expander --for 20m
  opsrelay pause-phase updater --until 2026-12-01T06:00:00Z`,
		Args: cobra.ExactArgs(1), ValidArgs: phaseNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			consumer, err := phase(args[0])
			if err != nil {
				return err
			}
			at, err := deadline(until, span, time.Now())
			if err != nil {
				return err
			}
			return nats.do(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				answer, err := b.JetStream().PauseConsumer(ctx, consumer.Stream, consumer.Name, at)
				if err != nil {
					return fmt.Errorf("pause %s: %w", consumer.Name, err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s gets no work until %s\n", consumer.Name, answer.PauseUntil.UTC().Format(time.RFC3339))
				return err
			})
		},
	}
	nats = newBroker(cmd.Flags())
	cmd.Flags().StringVar(&until, "until", "", "when the pause ends, as 2026-12-01T06:00:00Z")
	cmd.Flags().DurationVar(&span, "for", 0, "how long the pause lasts")
	cmd.MarkFlagsMutuallyExclusive("until", "for")
	cmd.MarkFlagsOneRequired("until", "for")
	return cmd
}

// deadline reads the end of a pause.
func deadline(until string, span time.Duration, now time.Time) (time.Time, error) {
	at := now.Add(span)
	if until != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, until); err != nil {
			return time.Time{}, fmt.Errorf("--until: %w", err)
		}
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("the pause would have ended at %s already", at.UTC().Format(time.RFC3339))
	}
	return at, nil
}

func resumePhaseCommand() *cobra.Command {
	var nats *broker
	cmd := &cobra.Command{
		Use:     "resume-phase pauser|expander|updater",
		Short:   "End the hold of a service's work",
		Example: "  opsrelay resume-phase expander",
		Args:    cobra.ExactArgs(1), ValidArgs: phaseNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			consumer, err := phase(args[0])
			if err != nil {
				return err
			}
			return nats.do(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				if _, err := b.JetStream().ResumeConsumer(ctx, consumer.Stream, consumer.Name); err != nil {
					return fmt.Errorf("resume %s: %w", consumer.Name, err)
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s gets work\n", consumer.Name)
				return err
			})
		},
	}
	nats = newBroker(cmd.Flags())
	return cmd
}
