// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// provisionTimeout bounds the creation of streams: a new cluster of three
// servers needs some 12 s before its first one.
const provisionTimeout = 2 * time.Minute

func provisionCommand() *cobra.Command {
	config := bus.Config{Name: "provision"}
	var (
		replicas int
		size     resource.QuantityValue
		cluster  string
		kube     runtime.Kubernetes
	)
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "Create or update the streams and consumers in NATS JetStream",
		Long: `Provision creates the streams and consumers that the services bind to, and brings
older ones to this version's configuration. It may be run at any time and any
number of times. The services never create anything themselves.

A broker with little storage needs smaller streams: --max-bytes, given each time.

It also records to which Kubernetes cluster they belong, by the uid of its namespace
kube-system: two clusters cannot share streams, and streams of another cluster are
left as they are. In a pod that is the pod's cluster. Elsewhere nothing is recorded
unless --cluster-uid, --kubeconfig or --context says which cluster it is.`,
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
			if cluster, err = theirCluster(ctx, cluster, kube); err != nil {
				return err
			}
			if err := bus.Provision(ctx, b.JetStream(), replicas, bus.WithMaxBytes(bytes), bus.WithCluster(cluster)); err != nil {
				return err
			}
			if _, err = fmt.Fprintf(cmd.OutOrStdout(), "%d streams and %d consumers are as they should be\n", len(events.Streams(replicas)), len(events.Consumers())); err != nil {
				return err
			}
			return sayCluster(ctx, cmd.OutOrStdout(), b)
		},
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().IntVar(&replicas, "replicas", 1, "servers that keep a copy of each stream: 3 in production, 1 on a single server")
	addMaxBytesFlag(&size, cmd.Flags())
	cmd.Flags().StringVar(&cluster, "cluster-uid", "", "uid of namespace kube-system of the cluster that the streams belong to: kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'")
	cmd.Flags().StringVar(&kube.Kubeconfig, "kubeconfig", "", "kubeconfig file of that cluster")
	cmd.Flags().StringVar(&kube.Context, "context", "", "context of the kubeconfig that leads to that cluster")
	return cmd
}

// sayCluster says to which cluster the streams are recorded to belong.
func sayCluster(ctx context.Context, out io.Writer, b *bus.Bus) error {
	cluster, err := bus.StreamCluster(ctx, b.JetStream(), events.Stream)
	if err != nil {
		return err
	}
	if cluster == "" {
		_, err = fmt.Fprintln(out, "to which cluster they belong is not recorded: say so with --cluster-uid, --kubeconfig or --context")
	} else {
		_, err = fmt.Fprintf(out, "they belong to the cluster whose namespace kube-system has uid %s\n", cluster)
	}
	return err
}
