// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// RetryOf is the annotation that names the request of which another is the
// repetition.
const RetryOf = "opsrelay.dev/retry-of"

func retryCommand() *cobra.Command {
	var where *cluster
	cmd := &cobra.Command{
		Use:   "retry [NAMESPACE/]NAME",
		Short: "Ask again for what a failed request asked",
		Long: `Retry creates a new request like the one that failed; that one stays as it is. What
has grown already is not grown again. The new request has an annotation that names
the old one.`,
		Example: "  opsrelay retry demo/sdb-grow",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := where.object(args[0])
			if err != nil {
				return err
			}
			clients, err := where.clients()
			if err != nil {
				return err
			}
			client := clients.KubeDB.SinglestoreOpsRequests(key.Namespace)
			failed, err := client.Get(cmd.Context(), key.Name, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("retry %s: %w", key, err)
			}
			switch failed.Status.Phase {
			case kubedb.OpsFailed, kubedb.OpsSkipped, kubedb.OpsDenied:
			default:
				return fmt.Errorf("retry %s: it is %s; only one that ended without success can be repeated", key, failed.Status.Phase)
			}
			created, err := client.Create(cmd.Context(), again(failed), metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("retry %s: %w", key, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "request %s/%s created\n", created.Namespace, created.Name)
			return err
		},
	}
	where = newCluster(cmd.Flags())
	return cmd
}

// nameRoom is how much of a name is kept, so that what the API server appends
// fits.
const nameRoom = 57

// again returns a new request that asks for the same.
func again(request *kubedb.SinglestoreOpsRequest) *kubedb.SinglestoreOpsRequest {
	copied := request.DeepCopy()
	name := request.Annotations[RetryOf]
	if name == "" {
		name = request.Name
	}
	copied.ObjectMeta = metav1.ObjectMeta{
		Namespace: request.Namespace, GenerateName: name[:min(len(name), nameRoom)] + "-", Labels: request.Labels,
		Annotations: map[string]string{RetryOf: name},
	}
	copied.Status = kubedb.OpsRequestStatus{}
	return copied
}
