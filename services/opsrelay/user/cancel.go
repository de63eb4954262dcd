// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
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
		Long: `Cancel deletes the request, which is what stops it, and returns: the relay ends what is
under way and resumes the database. Volumes that have grown stay as they are. With
--wait it returns when the database is resumed.`,
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
			request, err := remove(cmd.Context(), clients.KubeDB, key)
			if err != nil {
				return fmt.Errorf("cancel %s: %w", key, err)
			}
			if !wait {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "request %s is being cancelled\n", key)
				return err
			}
			ctx, stop := context.WithTimeoutCause(cmd.Context(), timeout, errWaited)
			defer stop()
			if err := resumed(ctx, clients.KubeDB, request, cmd.ErrOrStderr()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "request %s is cancelled, its database is resumed\n", key)
			return err
		},
	}
	where = newCluster(cmd.Flags())
	cmd.Flags().BoolVar(&wait, "wait", false, "return when the database is resumed")
	cmd.Flags().DurationVar(&timeout, "wait-timeout", 5*time.Minute, "how long --wait waits")
	return cmd
}

// errWaited is the cause of a wait that took too long.
var errWaited = errors.New("--wait-timeout has passed")

// remove deletes that very request, unless it has ended.
func remove(ctx context.Context, client *kubedb.Client, key types.NamespacedName) (*kubedb.SinglestoreOpsRequest, error) {
	requests := client.SinglestoreOpsRequests(key.Namespace)
	request, err := requests.Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if request.Status.Phase.Terminal() {
		return nil, fmt.Errorf("it has ended already: %s", request.Status.Phase)
	}
	return request, requests.Delete(ctx, key.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &request.UID}})
}

// quiet is how long a wait says nothing: most are over by then.
const quiet = 2 * time.Second

// resumed waits until the request that was deleted does not hold its database
// paused. A wait of some length is told.
func resumed(ctx context.Context, client *kubedb.Client, request *kubedb.SinglestoreOpsRequest, progress io.Writer) error {
	database := request.Namespace + "/" + request.Spec.DatabaseRef.Name
	var paused atomic.Bool
	waiting, over := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() {
		select {
		case <-time.After(quiet):
			_, _ = fmt.Fprintf(progress, "request %s/%s is deleted, waiting until its database %s is resumed\n", request.Namespace, request.Name, database) // the caller's terminal
		case <-waiting.Done():
		}
	})
	owner := kubedb.OwnerOf(request)
	err := client.WaitSinglestore(ctx, request.Namespace, request.Spec.DatabaseRef.Name, func(db *kubedb.Singlestore) bool {
		if db == nil {
			return true
		}
		holder, held := kubedb.PausedBy(db)
		paused.Store(held && holder == owner)
		return !paused.Load()
	})
	over()
	telling.Wait()
	switch {
	case err == nil:
		return nil
	case paused.Load():
		return fmt.Errorf("request %s/%s is deleted, but its database %s is still paused for it (%w): watcher and pauser resume it as soon as they run, `opsrelay doctor` says whether they do",
			request.Namespace, request.Name, database, err)
	}
	return fmt.Errorf("request %s/%s is deleted, but whether its database %s is resumed could not be seen: %w", request.Namespace, request.Name, database, err)
}
