// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opsrelay/opsrelay/deploy/devcluster/csidriver"
)

// controlDescriptor is the file descriptor under which the driver's process
// gets the listener of its control. It is made by the parent, so that the
// address stays the same when the driver is restarted.
const controlDescriptor = 3

func (c *cluster) driverSocket() string { return filepath.Join(c.sockets, "csi.sock") }

// driver is this very binary in its other role.
func (c *cluster) driver() child {
	return child{
		name: "csi-driver",
		path: "/proc/self/exe",
		log:  c.log,
		args: []string{
			"csi-driver",
			"--socket=" + c.driverSocket(),
			"--volumes=" + filepath.Join(c.dataDir, "volumes"),
			"--kubeconfig=" + c.kubeconfigOf(userDriver),
		},
		files: func() ([]*os.File, error) {
			file, err := c.control.(*net.TCPListener).File()
			return []*os.File{file}, err
		},
	}
}

// driverClient is the connection of the provisioner and of the nodes to the
// driver.
type driverClient struct {
	csi.ControllerClient
	csi.NodeClient
	*grpc.ClientConn
}

// dialDriver connects to the driver and waits until it answers.
func (c *cluster) dialDriver(ctx context.Context) (*driverClient, error) {
	conn, err := grpc.NewClient("unix://"+c.driverSocket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to the CSI driver: %w", err)
	}
	if _, err := csi.NewIdentityClient(conn).Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(true)); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for the CSI driver: %w", err), conn.Close())
	}
	return &driverClient{ControllerClient: csi.NewControllerClient(conn), NodeClient: csi.NewNodeClient(conn), ClientConn: conn}, nil
}

// driverOptions are those of the driver's process.
type driverOptions struct {
	socket, volumes, kubeconfig string
}

func newDriverCommand() *cobra.Command {
	var o driverOptions
	cmd := &cobra.Command{
		Use:    "csi-driver",
		Short:  "The CSI driver of a development cluster, started by it",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return runDriver(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.socket, "socket", "", "unix socket to serve on")
	f.StringVar(&o.volumes, "volumes", "", "directory of the volumes")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "how to ask the cluster who uses a volume")
	return cmd
}

// runDriver serves until SIGTERM. Calls that never get an answer end with it.
func runDriver(ctx context.Context, o driverOptions) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	volumes, err := csidriver.OpenVolumes(o.volumes)
	if err != nil {
		return err
	}
	control, err := net.FileListener(os.NewFile(controlDescriptor, "control"))
	if err != nil {
		return fmt.Errorf("take over the control's listener (the driver is started by devcluster, not by hand): %w", err)
	}
	if err := os.Remove(o.socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket of an earlier driver: %w", err)
	}
	socket, err := net.Listen("unix", o.socket)
	if err != nil {
		return fmt.Errorf("serve CSI: %w", err)
	}
	faults, calls := csidriver.NewFaults(&clusterUsers{kubeconfig: o.kubeconfig}), &csidriver.Calls{}
	server := grpc.NewServer()
	csidriver.New(volumes, faults, calls, slog.Default()).Register(server)
	web := &http.Server{Handler: csidriver.Handler(faults, calls), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(socket) })
	group.Go(func() error {
		if err := web.Serve(control); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		server.Stop()
		return web.Close()
	})
	return group.Wait()
}
