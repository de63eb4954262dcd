// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

const expandLong = `Expand creates a SinglestoreOpsRequest of type VolumeExpansion, after it has shown the
plan: a request that would be rejected is not created. With --wait it returns when
the request has ended.

Exit status: 0 created (with --wait: successful), 2 it ended without success, 3 it
would be rejected and was not created, 1 the command itself failed.`

// expand is what the flags say.
type expand struct {
	sizes   map[string]*string // by component
	mode    string
	apply   string
	name    string
	timeout time.Duration
	dryRun  bool
	wait    bool
	waitFor time.Duration
	policy  plan.Policy
}

func expandCommand() *cobra.Command {
	var (
		where *cluster
		e     = &expand{sizes: map[string]*string{}}
	)
	cmd := &cobra.Command{
		Use:   "expand [NAMESPACE/]DATABASE",
		Short: "Grow a database's disks: show the plan, create the request, and wait for it",
		Long:  expandLong,
		Example: `  opsrelay expand demo/sdb --leaf 11Gi --wait
  opsrelay expand demo/sdb --aggregator 2Gi --leaf 11Gi --mode Offline --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := where.object(args[0])
			if err != nil {
				return err
			}
			request, err := e.request(key)
			if err != nil {
				return err
			}
			return e.run(cmd, where, request)
		},
	}
	where = newCluster(cmd.Flags())
	e.addFlags(cmd.Flags())
	return cmd
}

func (e *expand) addFlags(flags *pflag.FlagSet) {
	for component, of := range map[string]string{
		kubedb.ComponentNode: "of a standalone database", kubedb.ComponentAggregator: "of each aggregator", kubedb.ComponentLeaf: "of each leaf",
	} {
		e.sizes[component] = flags.String(component, "", "new size of the volume "+of+", 11Gi for one")
	}
	flags.StringVar(&e.mode, "mode", string(kubedb.ModeOnline), "Online, or Offline: each pod is down while its volume grows")
	flags.StringVar(&e.apply, "apply", string(kubedb.ApplyIfReady), "IfReady waits until the database is Ready; Always does not")
	flags.StringVar(&e.name, "name", "", "name of the request (default: made from the database's)")
	flags.DurationVar(&e.timeout, "timeout-per-step", 0, "how long a step may take (default: the watcher's)")
	flags.BoolVar(&e.dryRun, "dry-run", false, "show the plan, create nothing")
	flags.BoolVar(&e.wait, "wait", false, "return when the request has ended")
	flags.DurationVar(&e.waitFor, "wait-timeout", time.Hour, "how long --wait waits")
	e.policy.AddFlags(flags)
}

// request is the request that the flags describe.
func (e *expand) request(database types.NamespacedName) (*kubedb.SinglestoreOpsRequest, error) {
	expansion := &kubedb.VolumeExpansion{Mode: kubedb.VolumeExpansionMode(e.mode)}
	asked := 0
	for component, into := range map[string]**resource.Quantity{
		kubedb.ComponentNode: &expansion.Node, kubedb.ComponentAggregator: &expansion.Aggregator, kubedb.ComponentLeaf: &expansion.Leaf,
	} {
		text := *e.sizes[component]
		if text == "" {
			continue
		}
		size, err := resource.ParseQuantity(text)
		if err != nil {
			return nil, fmt.Errorf("--%s %q is no size: 11Gi would be one", component, text)
		}
		*into, asked = &size, asked+1
	}
	if asked == 0 {
		return nil, errors.New("which size? Give --leaf and --aggregator, or --node for a standalone database")
	}
	request := &kubedb.SinglestoreOpsRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: kubedb.OpsGroupVersion.String(), Kind: kubedb.KindSinglestoreOpsRequest},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: database.Namespace, Name: e.name, CreationTimestamp: metav1.Now(),
		},
		Spec: kubedb.SinglestoreOpsRequestSpec{
			Type: kubedb.TypeVolumeExpansion, DatabaseRef: corev1.LocalObjectReference{Name: database.Name},
			VolumeExpansion: expansion, Apply: kubedb.ApplyOption(e.apply),
		},
	}
	if e.name == "" {
		request.GenerateName = database.Name[:min(len(database.Name), nameRoom-7)] + "-expand-"
		request.Name = request.GenerateName
	}
	if e.timeout > 0 {
		request.Spec.Timeout = &metav1.Duration{Duration: e.timeout}
	}
	return request, nil
}

// run shows the plan, creates the request unless it would be refused, and waits.
func (e *expand) run(cmd *cobra.Command, where *cluster, request *kubedb.SinglestoreOpsRequest) error {
	clients, err := where.clients()
	if err != nil {
		return err
	}
	planner := plan.Planner{Client: clients.KubeDB, Core: clients.Core, Policy: e.policy}
	p, err := planner.Make(cmd.Context(), request)
	if err == nil {
		err = planner.Queue(cmd.Context(), &p, request)
	}
	if err != nil {
		return err
	}
	if err := p.WriteTable(cmd.OutOrStdout()); err != nil {
		return err
	}
	if p.Verdict == plan.Blocked || e.dryRun {
		if p.Verdict == plan.Blocked {
			return verdict(p)
		}
		return nil
	}
	if request.GenerateName != "" {
		request.Name = ""
	}
	request.CreationTimestamp = metav1.Time{}
	created, err := clients.KubeDB.SinglestoreOpsRequests(request.Namespace).Create(cmd.Context(), request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create the request: %w", err)
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "\nrequest %s/%s created\n", created.Namespace, created.Name); err != nil || !e.wait {
		return err
	}
	return e.follow(cmd, clients.KubeDB, created)
}

// follow tells of each step of the request until it has ended.
func (e *expand) follow(cmd *cobra.Command, client *kubedb.Client, request *kubedb.SinglestoreOpsRequest) error {
	ctx, stop := context.WithTimeout(cmd.Context(), e.waitFor)
	defer stop()
	var last Request
	gone := false
	err := client.WaitSinglestoreOpsRequest(ctx, request.Namespace, request.Name, func(r *kubedb.SinglestoreOpsRequest) bool {
		if gone = r == nil || r.UID != request.UID; gone {
			return true
		}
		v := view(r)
		if v.Step != last.Step || v.Waiting != last.Waiting {
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", v.Step, v.Waiting) // a line that is lost changes nothing
		}
		last = v
		return r.Status.Phase.Terminal()
	})
	switch {
	case err != nil:
		return fmt.Errorf("request %s/%s goes on, `opsrelay watch` shows it; waited for %s: %w", request.Namespace, request.Name, e.waitFor, err)
	case gone:
		return &ExitError{Code: ExitFailed, Message: fmt.Sprintf("request %s/%s was deleted", request.Namespace, request.Name)}
	case last.Phase != string(kubedb.OpsSuccessful):
		return &ExitError{Code: ExitFailed, Message: fmt.Sprintf("request %s/%s is %s: %s", request.Namespace, request.Name, last.Phase, last.Failure)}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "request %s/%s is %s\n", request.Namespace, request.Name, last.Phase)
	return err
}
