// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

func cancelCommand() *cobra.Command {
	var (
		where   *cluster
		wait    bool
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "cancel [NAMESPACE/]NAME",
		Short: "Stop a request: its database is resumed, grown volumes keep their size",
		Long: `Cancel deletes the request, which is what stops it: the database is resumed first,
then the request is gone. Volumes that have grown stay as they are. With --wait it
returns when that is so.`,
		Example: "  opsrelay cancel demo/sdb-grow --wait",
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
			request, err := client.Get(cmd.Context(), key.Name, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("cancel %s: %w", key, err)
			}
			if request.Status.Phase.Terminal() {
				return fmt.Errorf("cancel %s: it has ended already: %s", key, request.Status.Phase)
			}
			uid := request.UID
			if err := client.Delete(cmd.Context(), key.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); err != nil {
				return fmt.Errorf("cancel %s: %w", key, err)
			}
			if !wait {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "request %s is being cancelled\n", key)
				return err
			}
			ctx, stop := context.WithTimeout(cmd.Context(), timeout)
			defer stop()
			if err := gone(ctx, clients.KubeDB, key, uid); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "request %s is cancelled, its database is resumed\n", key)
			return err
		},
	}
	where = newCluster(cmd.Flags())
	cmd.Flags().BoolVar(&wait, "wait", false, "return when the database is resumed and the request gone")
	cmd.Flags().DurationVar(&timeout, "wait-timeout", 5*time.Minute, "how long --wait waits")
	return cmd
}

// gone waits until the request with the uid is not there any more.
func gone(ctx context.Context, client *kubedb.Client, key types.NamespacedName, uid types.UID) error {
	err := client.WaitSinglestoreOpsRequest(ctx, key.Namespace, key.Name, func(request *kubedb.SinglestoreOpsRequest) bool {
		return request == nil || request.UID != uid
	})
	if err != nil {
		return fmt.Errorf("request %s is not gone yet (does the watcher run? `opsrelay get %s` says what it waits for): %w", key, key, err)
	}
	return nil
}
