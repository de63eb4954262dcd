// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/opsrelay/doctor"
)

func doctorCommand() *cobra.Command {
	var (
		where   *cluster
		nats    *broker
		out     *output
		service string
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, and say what to do next",
		Long: `Doctor looks at Kubernetes and at NATS: definitions, rights of the services, storage
classes, streams, consumers and who pulls from them, dead letters, pauses without a
request, requests without news. Each finding says the next step to take. It writes
nothing. The exit code is 2 if something is broken.`,
		Example: "  opsrelay doctor --nats-url nats://nats:4222",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			clients, err := where.clients()
			if err != nil {
				return err
			}
			patient := doctor.Patient{Clients: clients, Namespace: service}
			var findings []doctor.Finding
			patient.Unreachable = nats.do(cmd.Context(), func(ctx context.Context, b *bus.Bus) error {
				patient.JetStream = b.JetStream()
				findings = doctor.Examine(ctx, patient)
				return nil
			})
			if patient.Unreachable != nil {
				findings = doctor.Examine(cmd.Context(), patient)
			}
			if err := printAll(cmd.OutOrStdout(), out, findings, findingColumns); err != nil {
				return err
			}
			if doctor.Worst(findings) == doctor.Broken {
				return &ExitError{Code: ExitFailed, Message: "something is broken: see NEXT"}
			}
			return nil
		},
	}
	where, nats, out = newCluster(cmd.Flags()), newBroker(cmd.Flags()), newOutput(cmd.Flags())
	cmd.Flags().StringVar(&service, "services-namespace", "opsrelay", "namespace in which the services run")
	return cmd
}

// findingColumns is the table of findings.
var findingColumns = []column[doctor.Finding]{
	{name: "CHECK", value: func(f doctor.Finding) string { return f.Check }},
	{name: "VERDICT", value: func(f doctor.Finding) string { return string(f.Verdict) }},
	{name: "FOUND", value: func(f doctor.Finding) string { return f.Found }},
	{name: "NEXT", value: func(f doctor.Finding) string { return f.Next }},
}
