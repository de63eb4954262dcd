// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/opsrelay/opsrelay/services/runtime"
)

func getCommand() *cobra.Command {
	var (
		where *cluster
		out   *output
	)
	cmd := &cobra.Command{
		Use:   "get [[NAMESPACE/]NAME]",
		Short: "List requests: their step, and what they wait for",
		Long: `Get lists operation requests with the step they are at, how long ago that began,
and what they wait for or why they failed. It reads the API server alone.`,
		Example: `  opsrelay get -A
  opsrelay get demo/sdb-grow -o yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			clients, err := where.clients()
			if err != nil {
				return err
			}
			requests, err := list(cmd.Context(), clients, where, args)
			if err != nil {
				return err
			}
			return printAll(cmd.OutOrStdout(), out, requests, requestColumns)
		},
	}
	where, out = newCluster(cmd.Flags()), newOutput(cmd.Flags())
	where.addAllNamespaces(cmd.Flags())
	return cmd
}

// requestColumns is the table of requests.
var requestColumns = []column[Request]{
	{name: "NAMESPACE", value: func(r Request) string { return r.Namespace }},
	{name: "NAME", value: func(r Request) string { return r.Name }},
	{name: "DATABASE", value: func(r Request) string { return r.Database }},
	{name: "PHASE", value: func(r Request) string { return r.Phase }},
	{name: "STEP", value: func(r Request) string { return r.Step }},
	{name: "SINCE", value: func(r Request) string { return age(r.Changed) }},
	{name: "AGE", value: func(r Request) string { return age(r.Created) }},
	{name: "WHY", value: func(r Request) string { return cmp.Or(r.Failure, r.Waiting) }},
	{name: "UID", value: func(r Request) string { return r.UID }, wide: true},
}

// list returns the named request, or all, oldest first.
func list(ctx context.Context, clients runtime.Clients, where *cluster, args []string) ([]Request, error) {
	namespace, err := where.namespace()
	if err != nil {
		return nil, err
	}
	options := metav1.ListOptions{}
	if len(args) > 0 {
		key, err := where.object(args[0])
		if err != nil {
			return nil, err
		}
		namespace = key.Namespace
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, key.Name).String()
	}
	found, err := clients.KubeDB.SinglestoreOpsRequests(namespace).List(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	if len(args) > 0 && len(found.Items) == 0 {
		return nil, fmt.Errorf("there is no SinglestoreOpsRequest %s; `opsrelay timeline` knows deleted ones, too", args[0])
	}
	requests := make([]Request, 0, len(found.Items))
	for i := range found.Items {
		requests = append(requests, view(&found.Items[i]))
	}
	slices.SortStableFunc(requests, func(a, b Request) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return requests, nil
}
