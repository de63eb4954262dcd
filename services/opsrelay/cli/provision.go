// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
)

// provisionTimeout bounds the creation of streams: a new cluster of three
// servers needs some 12 s before its first one.
const provisionTimeout = 2 * time.Minute

func provisionCommand() *cobra.Command {
	config := bus.Config{Name: "provision"}
	var (
		replicas int
		size     resource.QuantityValue
	)
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "Create or update the streams and consumers in NATS JetStream",
		Long: `Provision creates the streams and consumers that the services bind to, and brings
older ones to this version's configuration. It may be run at any time and any
number of times. The services never create anything themselves.

A broker with little storage needs smaller streams: --max-bytes, given each time.`,
		Example: `  opsrelay provision --nats-url nats://nats:4222 --replicas 3
  opsrelay provision --nats-url nats://nats:4222 --max-bytes 256Mi`,
		GroupID: groupSetUp,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bytes, err := maxBytes(size)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), provisionTimeout)
			defer cancel()
			b, err := bus.Connect(ctx, config)
			if err != nil {
				return err
			}
			defer func() { _ = b.Close(ctx) }() // everything was answered
			if err := bus.Provision(ctx, b.JetStream(), replicas, bus.WithMaxBytes(bytes)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d streams and %d consumers are as they should be\n", len(events.Streams(replicas)), len(events.Consumers()))
			return err
		},
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().IntVar(&replicas, "replicas", 1, "servers that keep a copy of each stream: 3 in production, 1 on a single server")
	addMaxBytesFlag(&size, cmd.Flags())
	return cmd
}
