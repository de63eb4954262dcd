// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package cluster starts a development cluster and installs Opsrelay's manifests
// into one: what the demo and the tests stand on.
//
// The cluster is a real Kubernetes in a process of its own, built by
// `make bin/devcluster` from deploy/devcluster.
package cluster

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
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options say how a development cluster is started.
type Options struct {
	// Directory is where the cluster keeps its data; it must exist. Empty means a
	// temporary one, removed at the end.
	Directory string
	// AuditLog is a file to which every write is logged; empty means none.
	AuditLog string
	// AuditReads logs the reads of the administrator and of those it acts as, too.
	AuditReads bool
	// NodeExpansionDelay is how long a node takes to notice a volume that waits
	// for it, unless its pod is touched. 0 means a minute, as with a kubelet.
	NodeExpansionDelay time.Duration
	// Attach lets volumes be attached to nodes before pods use them, as most
	// storage drivers ask for.
	Attach bool
	// Fast leaves out waiting for the disk: a crash of the machine loses data.
	Fast bool
	// Detach lets the cluster outlive this process.
	Detach bool
	// Stderr gets what the cluster has to say; nil discards it.
	Stderr io.Writer
}

// Cluster is a running development cluster.
type Cluster struct {
	// Kubeconfig is the file of its administrator.
	Kubeconfig string `json:"kubeconfig"`
	// Server is the URL of its API server.
	Server string `json:"server"`
	// CSI is the URL where its storage driver takes faults.
	CSI string `json:"csi"`
	// DataDir is where it keeps its data.
	DataDir string `json:"dataDir"`

	// AuditLog is the file of [Options].
	AuditLog string `json:"-"`

	config *rest.Config
	cmd    *exec.Cmd
	done   chan struct{}
	err    error // why it ended; valid when done is closed
}

// ErrNotBuilt says that there is no development cluster to start.
var ErrNotBuilt = errors.New("the development cluster is not built: run make bin/devcluster")

// startTimeout bounds the start: it takes about 3 s on an idle machine.
const startTimeout = 2 * time.Minute

// Start starts a development cluster and returns when it is ready. The caller
// must Stop it.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	c := &Cluster{AuditLog: options.AuditLog, done: make(chan struct{})}
	c.cmd = exec.Command(binary, options.args()...)
	c.cmd.Stderr = options.Stderr
	// A session of its own keeps a ^C of ours from it: we stop it in order. It
	// dies with us, whatever happens to us, unless it is to stay.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !options.Detach {
		c.cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the development cluster: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the development cluster: %w", err)
	}
	ready := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(stdout).ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, c)
		}
		ready <- err
		_, _ = io.Copy(io.Discard, stdout) // until it ends: Wait closes the pipe
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(startTimeout):
		err = fmt.Errorf("not ready after %s", startTimeout)
	}
	if err == nil {
		c.config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("start the development cluster: %w", errors.Join(err, c.Stop()))
	}
	return c, nil
}

func (o Options) args() []string {
	var args []string
	if o.Directory != "" {
		args = append(args, "--data-dir="+o.Directory)
	}
	if o.AuditLog != "" {
		args = append(args, "--audit-log="+o.AuditLog)
	}
	if o.AuditReads {
		args = append(args, "--audit-reads")
	}
	if o.NodeExpansionDelay > 0 {
		args = append(args, "--node-expansion-delay="+o.NodeExpansionDelay.String())
	}
	if o.Attach {
		args = append(args, "--attach")
	}
	if o.Fast {
		args = append(args, "--unsafe-no-fsync")
	}
	return args
}

// PID is the process id of the cluster.
func (c *Cluster) PID() int { return c.cmd.Process.Pid }

// Config is the configuration of the cluster's administrator. It is the
// caller's own copy.
func (c *Cluster) Config() *rest.Config {
	config := rest.CopyConfig(c.config)
	config.QPS = -1
	return config
}

// Stop ends the cluster and returns when nothing of it runs any more.
func (c *Cluster) Stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-c.done:
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
		return errors.New("the development cluster did not stop in 30 s and was killed")
	}
	if c.err != nil {
		return fmt.Errorf("the development cluster ended: %w", c.err)
	}
	return nil
}

// Binary finds the built development cluster: $OPSRELAY_DEVCLUSTER, or
// bin/devcluster of the checkout that the working directory is in.
func Binary() (string, error) {
	if path := os.Getenv("OPSRELAY_DEVCLUSTER"); path != "" {
		return path, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "devcluster")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (no %s)", ErrNotBuilt, path)
	}
	return path, nil
}

// Root is the top of the checkout that the working directory is in.
func Root() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for at := directory; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "LICENSE")); err == nil {
			return at, nil
		}
	}
	return "", fmt.Errorf("%s is in no checkout of Opsrelay", directory)
}
