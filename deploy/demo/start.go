// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opsrelay/opsrelay/deploy/base"
	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// demo is one run.
type demo struct {
	out     io.Writer
	in      io.Reader
	keep    bool
	cluster string
	binary  string

	directory   string
	development *cluster.Cluster // nil when the user's own cluster is used
	kubeconfig  string
	config      *rest.Config
	clients     runtime.Clients
	hasKubeDB   bool

	relay *exec.Cmd
	nats  string
	ended chan error // how the relay ended
}

func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format+"\n", args...) // a terminal that is gone needs no text
}

// startCluster starts a development cluster, or asks whether the current context
// may be used.
func (d *demo) startCluster(ctx context.Context) (err error) {
	if d.cluster == "current" {
		return d.useCurrent()
	}
	d.say("starting a Kubernetes of our own (real API server, controllers and resizer, simulated nodes) ...")
	began := time.Now()
	log, err := os.Create(filepath.Join(d.directory, "cluster.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the cluster has its own copy
	options := cluster.Options{Directory: filepath.Join(d.directory, "cluster"), Fast: true, Detach: d.keep, Stderr: log}
	if err := os.Mkdir(options.Directory, 0o700); err != nil {
		return err
	}
	if d.development, err = cluster.Start(ctx, options); err != nil {
		return err
	}
	d.kubeconfig, d.config = d.development.Kubeconfig, d.development.Config()
	d.say("  ready after %.1f s", time.Since(began).Seconds())
	d.clients, err = runtime.NewClients(runtime.ServiceConfig(d.config, "demo", ""))
	return err
}

// useCurrent uses the current context of the user's kubeconfig, if the user says
// yes to its name.
func (d *demo) useCurrent() error {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)
	raw, err := loader.RawConfig()
	if err != nil {
		return fmt.Errorf("--cluster=current: %w", err)
	}
	if d.config, err = loader.ClientConfig(); err != nil {
		return fmt.Errorf("--cluster=current: %w", err)
	}
	_, _ = fmt.Fprintf(d.out, "Use context %q (%s)? It gets custom resource definitions if it has none, the namespaces opsrelay and demo, and a database. [y/N] ", raw.CurrentContext, d.config.Host)
	answer, err := bufio.NewReader(d.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("not confirmed: nothing was touched")
	}
	d.clients, err = runtime.NewClients(runtime.ServiceConfig(d.config, "demo", ""))
	return err
}

// install applies the manifests. A cluster with KubeDB has its own definitions
// and controllers.
func (d *demo) install(ctx context.Context) error {
	served, err := d.clients.Core.Discovery().ServerResourcesForGroupVersion("kubedb.com/v1alpha2")
	d.hasKubeDB = err == nil && len(served.APIResources) > 0
	if d.hasKubeDB {
		return cluster.Apply(ctx, d.config, base.FS)
	}
	return cluster.Install(ctx, d.config)
}

// startRelay runs `opsrelay up`, and waits until it says where its NATS is.
func (d *demo) startRelay(ctx context.Context) error {
	if d.binary == "" {
		root, err := cluster.Root()
		if err != nil {
			return err
		}
		d.binary = filepath.Join(root, "bin", "opsrelay")
	}
	logPath := filepath.Join(d.directory, "opsrelay.log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the relay has its own copy
	args := []string{
		"up", "--data-dir", filepath.Join(d.directory, "nats"), "--nats-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0",
	}
	if d.kubeconfig != "" {
		args = append(args, "--kubeconfig", d.kubeconfig)
	}
	if !d.hasKubeDB {
		args = append(args, "--database-controllers")
	}
	d.relay = exec.Command(d.binary, args...)
	d.relay.Stderr = log
	d.relay.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !d.keep {
		d.relay.SysProcAttr.Pdeathsig = syscall.SIGTERM
	}
	if err := d.relay.Start(); err != nil {
		return fmt.Errorf("start opsrelay up: %w", err)
	}
	d.ended = make(chan error, 1)
	go func() { d.ended <- d.relay.Wait() }()
	d.nats, err = d.findNATS(ctx, logPath)
	if err == nil {
		d.say("opsrelay up: four services, and a NATS JetStream at %s", d.nats)
	}
	return err
}

// findNATS reads the relay's log until it names its broker.
func (d *demo) findNATS(ctx context.Context, path string) (string, error) {
	ticker := time.NewTicker(50 * time.Millisecond) // a file cannot be waited for otherwise
	defer ticker.Stop()
	for {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			var entry struct{ NATS string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.NATS != "" {
				return entry.NATS, nil
			}
		}
		select {
		case <-ticker.C:
		case err := <-d.ended:
			d.relay = nil
			return "", fmt.Errorf("opsrelay up ended (%w): %s", err, data)
		case <-ctx.Done():
			return "", fmt.Errorf("opsrelay up did not start: %w", context.Cause(ctx))
		}
	}
}

// stop ends what was started.
func (d *demo) stop() error {
	var failures []error
	if d.relay != nil {
		_ = d.relay.Process.Signal(syscall.SIGTERM) // it may have ended already
		if err := <-d.ended; err != nil {
			failures = append(failures, fmt.Errorf("opsrelay up: %w", err))
		}
	}
	if d.development != nil {
		failures = append(failures, d.development.Stop())
	}
	return errors.Join(failures...)
}

// printKept says what runs on, and how it is used and stopped.
func (d *demo) printKept() {
	d.say("\nStill running:")
	if d.development != nil {
		d.say("  export KUBECONFIG=%s", d.kubeconfig)
	}
	d.say("  NATS:  %s", d.nats)
	d.say("  logs:  %s", d.directory)
	pids := fmt.Sprint(d.relay.Process.Pid)
	if d.development != nil {
		pids += fmt.Sprint(" ", d.development.PID())
	}
	d.say("Stop it with:  kill %s", pids)
}
