// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// serviceRange is where cluster addresses come from. Nothing routes them; the
// first is in the API's certificate, as everywhere.
const (
	serviceRange     = "10.96.0.0/16"
	serviceAddress   = "10.96.0.1"
	readyPollPeriod  = 20 * time.Millisecond
	serviceTokenName = "https://kubernetes.default.svc"
)

// auditPolicy keeps every write with its body, once, when it is answered.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules:
- level: Request
  verbs: [create, update, patch, delete, deletecollection]
`

// auditReads keeps every read of the administrator and those it acts as, which
// is not what the components read; auditNothing ends the policy.
const (
	auditReads = `- level: Metadata
  users: ["` + userAdmin + `"]
  verbs: [get, list, watch]
`
	auditNothing = "- level: None\n"
)

// apiServer is a kube-apiserver that was started.
type apiServer struct {
	// life ends with the server; its cause says why.
	life context.Context
	// stop ends the server and waits until it has. It must be ready: one that is
	// stopped while starting takes the whole process with it.
	stop func()
}

// startAPIServer starts kube-apiserver. It outlives ctx, because its clients
// end with ctx and need it until then.
func (c *cluster) startAPIServer(ctx context.Context) (*apiServer, error) {
	if err := c.pki.issueServing(c.servingHosts()); err != nil {
		return nil, fmt.Errorf("issue the API's certificate: %w", err)
	}
	args, err := c.apiServerArgs()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	completed, err := c.apiServerOptions(ctx, args)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("configure kube-apiserver: %w", err)
	}
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	go func() {
		err := app.Run(ctx, completed)
		end(fmt.Errorf("kube-apiserver ended: %w", cmp.Or(err, errors.New("no error given"))))
	}()
	return &apiServer{life: life, stop: func() { cancel(); <-life.Done() }}, nil
}

func (c *cluster) apiServerOptions(ctx context.Context, args []string) (apiserveroptions.CompletedOptions, error) {
	var none apiserveroptions.CompletedOptions
	o := apiserveroptions.NewServerRunOptions()
	if err := parse(o.Flags(), args); err != nil {
		return none, err
	}
	// The port was taken long before, so nobody else can have it.
	o.SecureServing.Listener = c.api
	o.SecureServing.BindPort = c.api.Addr().(*net.TCPAddr).Port
	// The registry of feature gates is one for the process, and set once.
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return none, err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := o.Complete(ctx)
	if err != nil {
		return none, err
	}
	return completed, utilerrors.NewAggregate(completed.Validate())
}

func (c *cluster) apiServerArgs() ([]string, error) {
	cert, key := c.pki.servingFiles()
	args := []string{
		"--etcd-servers=unix://" + c.etcdSocket(),
		"--bind-address=" + c.bindAddress,
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + cert,
		"--tls-private-key-file=" + key,
		"--client-ca-file=" + c.pki.caFile(),
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=" + serviceTokenName,
		"--service-account-key-file=" + c.pki.serviceAccountKeyFile(),
		"--service-account-signing-key-file=" + c.pki.serviceAccountKeyFile(),
		"--service-cluster-ip-range=" + serviceRange,
		"--allow-privileged=true",
		"--profiling=false",
	}
	if c.auditLog == "" {
		return args, nil
	}
	policy := filepath.Join(c.dataDir, "audit-policy.yaml")
	rules := auditPolicy
	if c.auditReads {
		rules += auditReads
	}
	if err := os.WriteFile(policy, []byte(rules+auditNothing), 0o600); err != nil {
		return nil, fmt.Errorf("write the audit policy: %w", err)
	}
	// Blocking: an entry is in the file when its request is answered.
	// Whoever reads it remembers how far: it is not begun again after 100 MB.
	return append(args, "--audit-policy-file="+policy, "--audit-log-path="+c.auditLog, "--audit-log-mode=blocking",
		"--audit-log-maxsize=1000000"), nil
}

// servingHosts are the names and addresses the API can be called by.
func (c *cluster) servingHosts() []string {
	hosts := []string{
		"127.0.0.1", "::1", "localhost", serviceAddress,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}
	if ip := net.ParseIP(c.bindAddress); !ip.IsUnspecified() {
		hosts = append(hosts, c.bindAddress)
	}
	return append(hosts, c.sans...)
}

// awaitAPI waits until the API says that it is ready.
func (c *cluster) awaitAPI(ctx context.Context) error {
	client, err := c.clientFor(userAdmin)
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextCancel(ctx, readyPollPeriod, true, func(ctx context.Context) (bool, error) {
		var code int
		last = client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&code).Error()
		return last == nil && code == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the API: %w (last answer: %w)", err, last)
	}
	return nil
}

// parse reads a component's command line, without the command.
func parse(sets cliflag.NamedFlagSets, args []string) error {
	flags := pflag.NewFlagSet("component", pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	return flags.Parse(args)
}
