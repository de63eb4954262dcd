// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

const planLong = `Plan says what a request would do and what stands in its way: every volume with
its size, StorageClass and provisioner, the pods that would be restarted and in
which order, and what the watcher would find when it admits the request. A
Blocking finding rejects it, a Waiting one makes it or one of its steps wait, a
Warning stops nothing.

The request is read from a file, or from the cluster. Nothing is written. Plan
looks with the rights of your kubeconfig: what you may not read is not checked,
and the plan says so. Give it the flags --max-size and --expansion-limit of your
watcher, if that has any.

Exit status: 0 the request can run now, 3 it is Blocked, 4 it Waits, 1 there is no
plan.`

func planCommand() *cobra.Command {
	var (
		where  *cluster
		out    *output
		file   string
		policy plan.Policy
	)
	cmd := &cobra.Command{
		Use:   "plan (-f FILE | [NAMESPACE/]NAME)",
		Short: "Say what a request would do, and what stands in its way; writes nothing",
		Long:  planLong,
		Example: `  opsrelay plan -f request.yaml
  opsrelay plan -f - < request.yaml
  opsrelay plan demo/sdb-grow -o yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			clients, err := where.clients()
			if err != nil {
				return err
			}
			request, err := requestToPlan(cmd, clients.KubeDB, where, file, args)
			if err != nil {
				return err
			}
			planner := plan.Planner{Client: clients.KubeDB, Core: clients.Core, Policy: policy}
			if request.UID == "" {
				planner.Needs = []plan.Right{{Verb: "create", Group: kubedb.OpsGroupVersion.Group, Resource: kubedb.ResourceSinglestoreOpsRequests}}
			}
			p, err := planner.Make(cmd.Context(), request)
			if err != nil {
				return err
			}
			if err := planner.Queue(cmd.Context(), &p, request); err != nil {
				return err
			}
			if err := printPlan(cmd.OutOrStdout(), out, p); err != nil {
				return err
			}
			return verdict(p)
		},
	}
	where, out = newCluster(cmd.Flags()), newOutput(cmd.Flags())
	cmd.Flags().StringVarP(&file, "filename", "f", "", "file with the request, - for the standard input")
	policy.AddFlags(cmd.Flags())
	return cmd
}

// requestToPlan reads the request from the file or from the cluster.
func requestToPlan(cmd *cobra.Command, client *kubedb.Client, where *cluster, file string, args []string) (*kubedb.SinglestoreOpsRequest, error) {
	switch {
	case (file == "") == (len(args) == 0):
		return nil, errors.New("name either a file with -f or a request as [NAMESPACE/]NAME")
	case file != "":
		return where.requestIn(file, cmd.InOrStdin())
	}
	key, err := where.object(args[0])
	if err != nil {
		return nil, err
	}
	return requestNamed(cmd.Context(), client, key.Namespace, key.Name)
}

func requestNamed(ctx context.Context, client *kubedb.Client, namespace, name string) (*kubedb.SinglestoreOpsRequest, error) {
	request, err := client.SinglestoreOpsRequests(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("plan %s/%s: %w", namespace, name, err)
	}
	return request, nil
}

// requestIn reads the one request of a file as if it were created now.
func (c *cluster) requestIn(file string, stdin io.Reader) (*kubedb.SinglestoreOpsRequest, error) {
	source := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
		defer func() { _ = opened.Close() }() // it was only read
		source = opened
	}
	request, err := decodeRequest(source)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", file, err)
	}
	if request.Namespace == "" {
		if request.Namespace, err = c.namespace(); err != nil {
			return nil, err
		}
	}
	if request.Name == "" {
		request.Name = request.GenerateName
	}
	request.UID, request.CreationTimestamp, request.Status = "", metav1.NewTime(time.Now()), kubedb.OpsRequestStatus{}
	return request, nil
}

// decodeRequest finds the one request among the documents.
func decodeRequest(source io.Reader) (*kubedb.SinglestoreOpsRequest, error) {
	var found *kubedb.SinglestoreOpsRequest
	for decoder := utilyaml.NewYAMLOrJSONDecoder(source, 4096); ; {
		var document json.RawMessage
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var kind metav1.TypeMeta
		if err := json.Unmarshal(document, &kind); err != nil {
			return nil, err
		}
		if kind.Kind != kubedb.KindSinglestoreOpsRequest {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("it has more than one %s", kubedb.KindSinglestoreOpsRequest)
		}
		found = &kubedb.SinglestoreOpsRequest{}
		if err := json.Unmarshal(document, found); err != nil {
			return nil, err
		}
	}
	if found == nil {
		return nil, fmt.Errorf("it has no %s", kubedb.KindSinglestoreOpsRequest)
	}
	return found, nil
}

func printPlan(out io.Writer, o *output, p plan.Plan) error {
	switch o.format {
	case formatJSON:
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(p)
	case formatYAML:
		text, err := yaml.Marshal(p)
		if err != nil {
			return fmt.Errorf("print as YAML: %w", err)
		}
		_, err = out.Write(text)
		return err
	default:
		return p.WriteTable(out)
	}
}

// verdict is the command's exit status.
func verdict(p plan.Plan) error {
	message := fmt.Sprintf("plan %s/%s: %s", p.Namespace, p.Name, p.Verdict)
	switch p.Verdict {
	case plan.Blocked:
		return &ExitError{Code: ExitBlocked, Message: message}
	case plan.Waits:
		return &ExitError{Code: ExitWaits, Message: message}
	default:
		return nil
	}
}
