// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const help = `Runs a development Kubernetes until it is told to stop.

etcd, kube-apiserver, controller-manager, scheduler and simulated nodes run in
this process; the real csi-resizer (looked for beside this binary) and a CSI
driver run as its children. When everything is ready, one line of JSON is
printed on stdout:

  {"kubeconfig":"...","server":"https://127.0.0.1:PORT","csi":"http://127.0.0.1:PORT","dataDir":"..."}

SIGTERM or SIGINT stops it. Nothing of it survives its end, however it ends.

StorageClasses:
  online            (default) volumes grow while in use
  online-immediate  the same, bound before a pod uses them
  node-expansion    the node has a part to do: at once when the pod's metadata
                    changes or the pod starts, else after --node-expansion-delay
  fixed             expansion not allowed

Volumes misbehave when asked to, at the "csi" address:
  GET    /faults
  PUT    /faults/VOLUME   VOLUME is *, a PersistentVolume's name or NAMESPACE.CLAIM
         {"delay":"2s","code":"OUT_OF_RANGE","message":"...","never":false,
          "offlineOnly":false,"times":0,"above":0,"operation":"expand"}
  DELETE /faults/VOLUME
  GET    /calls           every ControllerExpandVolume call and its answer`

const example = `  devcluster --unsafe-no-fsync
  devcluster --data-dir ./cluster --port 6443 --nodes 5
  curl -X PUT -d '{"code":"OUT_OF_RANGE"}' $CSI/faults/default.data-db-0`

// options are the settings of a cluster; newCommand gives their defaults.
type options struct {
	dataDir       string
	bindAddress   string
	port          int
	sans          []string
	kubeconfig    string
	nodes         int
	noFsync       bool
	auditLog      string
	auditReads    bool
	log           string
	resizer       resizerRates
	nodeExpansion time.Duration
	attach        bool

	temporary bool // the data directory is ours to remove
}

// resizerRates are the resizer's limits. The defaults of the program itself
// (5 requests a second) would be all that a test measures.
type resizerRates struct {
	qps     float64
	burst   int
	workers int
}

// ready is the line that is printed when the cluster can be used.
type ready struct {
	Kubeconfig string `json:"kubeconfig"`
	Server     string `json:"server"`
	CSI        string `json:"csi"`
	DataDir    string `json:"dataDir"`
}

func newCommand() *cobra.Command {
	// Kubernetes' packages put flags of their own here, which are not ours.
	pflag.CommandLine = pflag.NewFlagSet("", pflag.ContinueOnError)
	var o options
	cmd := &cobra.Command{
		Use:           "devcluster",
		Short:         "A real Kubernetes in one process, for development and tests",
		Long:          help,
		Example:       example,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return start(cmd.Context(), o) },
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetHelpCommand(&cobra.Command{Hidden: true})
	f := cmd.Flags()
	f.StringVar(&o.dataDir, "data-dir", "", "directory of all state; kept when given (default a temporary one, removed at the end unless something failed)")
	f.StringVar(&o.bindAddress, "bind-address", "127.0.0.1", "address the API is served on")
	f.IntVar(&o.port, "port", 0, "port the API is served on; 0 is a free one")
	f.StringArrayVar(&o.sans, "san", nil, "another host name or address the API's certificate is valid for (repeatable)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "where to write the administrator's kubeconfig (default DATA/admin.kubeconfig)")
	f.IntVar(&o.nodes, "nodes", 3, "number of simulated nodes")
	f.BoolVar(&o.noFsync, "unsafe-no-fsync", false, "do not wait for the disk: faster, and a crash of the machine loses the state")
	f.StringVar(&o.auditLog, "audit-log", "", "file for one JSON line per write with its body; empty is none")
	f.BoolVar(&o.auditReads, "audit-reads", false, "the audit log also has a line per read of the administrator and of those it acts as")
	f.StringVar(&o.log, "log", "", "file for the logs of all components (default DATA/devcluster.log)")
	f.Float64Var(&o.resizer.qps, "resizer-qps", 5000, "requests per second the resizer may send to the API")
	f.IntVar(&o.resizer.burst, "resizer-burst", 10000, "burst of such requests")
	f.IntVar(&o.resizer.workers, "resizer-workers", 32, "volumes the resizer works on at once")
	f.DurationVar(&o.nodeExpansion, "node-expansion-delay", time.Minute, "time until a node notices by itself that a volume waits for it, like the kubelet's sync period")
	f.BoolVar(&o.attach, "attach", false, "volumes are attached to nodes (VolumeAttachments) before pods use them")
	cmd.AddCommand(newDriverCommand())
	return cmd
}

// start runs a cluster until SIGTERM or SIGINT. A second signal ends the
// process the hard way.
func start(ctx context.Context, o options) error {
	if err := findResizer(); err != nil {
		return err
	}
	if err := o.complete(); err != nil {
		return err
	}
	unlock, err := lockDataDir(o.dataDir)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)

	err = runCluster(ctx, o, func(r ready) error { return json.NewEncoder(os.Stdout).Encode(r) })
	if info, statErr := os.Stat(o.log); err != nil && statErr == nil && info.Size() > 0 {
		return fmt.Errorf("%w\nthe components' logs are kept in %s", err, o.log)
	}
	if o.temporary {
		err = errors.Join(err, os.RemoveAll(o.dataDir))
	}
	return err
}

// complete checks the options and fills in what depends on others. It makes
// the data directory.
func (o *options) complete() error {
	if o.nodes < 1 {
		return fmt.Errorf("--nodes is %d, want 1 or more", o.nodes)
	}
	if net.ParseIP(o.bindAddress) == nil {
		return fmt.Errorf("--bind-address is %q, want an IP address", o.bindAddress)
	}
	if o.port < 0 || o.port > 65535 {
		return fmt.Errorf("--port is %d, want 0 to 65535", o.port)
	}
	if o.nodeExpansion < 0 {
		return fmt.Errorf("--node-expansion-delay is %s, want 0 or more", o.nodeExpansion)
	}
	if err := o.makeDataDir(); err != nil {
		return err
	}
	if o.kubeconfig == "" {
		o.kubeconfig = filepath.Join(o.dataDir, "admin.kubeconfig")
	}
	if o.log == "" {
		o.log = filepath.Join(o.dataDir, "devcluster.log")
	}
	return errors.Join(absolute(&o.kubeconfig), absolute(&o.log), absolute(&o.auditLog))
}

func (o *options) makeDataDir() (err error) {
	if o.dataDir == "" {
		o.temporary = true
		o.dataDir, err = os.MkdirTemp("", "devcluster-")
		if err != nil {
			return fmt.Errorf("make a data directory (or name one with --data-dir): %w", err)
		}
		return nil
	}
	if err := absolute(&o.dataDir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

// absolute makes a path that may be empty independent of the working directory.
func absolute(path *string) error {
	if *path == "" {
		return nil
	}
	abs, err := filepath.Abs(*path)
	if err != nil {
		return fmt.Errorf("find %s: %w", *path, err)
	}
	*path = abs
	return nil
}
