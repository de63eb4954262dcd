// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// startTimeout is for a start on a machine that is very busy; 3 s are usual.
const startTimeout = 2 * time.Minute

// cluster is what the components share.
type cluster struct {
	options
	pki     *pki
	log     *os.File
	restore func() // of stderr
	sockets string // directory of the unix sockets
	api     net.Listener
	control net.Listener // the CSI driver's faults
}

// runCluster runs a cluster until ctx ends or a component fails, and calls
// announce once, when it is ready. Nothing of it runs when it returns.
func runCluster(ctx context.Context, o options, announce func(ready) error) error {
	c := &cluster{options: o}
	defer c.close()
	if err := c.open(); err != nil {
		return err
	}
	etcd, err := c.startEtcd(ctx)
	if err != nil && ctx.Err() != nil {
		return nil // told to stop while starting
	}
	if err != nil {
		return err
	}
	defer etcd.Close()
	api, err := c.startAPIServer(ctx)
	if err != nil {
		return err
	}
	defer api.stop()

	// Everything in the group is a client of the API and ends before it does.
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case <-api.life.Done():
			return context.Cause(api.life)
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error { return c.driver().supervise(ctx) })
	group.Go(func() error { return c.startClients(ctx, api, group, announce) })
	return group.Wait()
}

// startClients starts what needs a working API, and announces when all is
// ready. Told to stop, it still waits for the API, so that this can be stopped.
func (c *cluster) startClients(ctx context.Context, api *apiServer, group *errgroup.Group, announce func(ready) error) error {
	apiCtx, cancel := context.WithTimeout(api.life, startTimeout)
	defer cancel()
	err := c.awaitAPI(apiCtx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	startCtx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = c.startAll(ctx, startCtx, group)
	if ctx.Err() != nil {
		return nil // told to stop while starting
	}
	if err != nil {
		return err
	}
	return announce(ready{
		Kubeconfig: c.kubeconfig,
		Server:     c.serverURL(),
		CSI:        "http://" + c.control.Addr().String(),
		DataDir:    c.dataDir,
	})
}

func (c *cluster) startAll(ctx, startCtx context.Context, group *errgroup.Group) error {
	client, err := c.clientFor(userNodes)
	if err != nil {
		return err
	}
	group.Go(func() error { return c.runControllerManager(ctx) })
	group.Go(func() error { return c.runScheduler(ctx) })
	if err := c.startNodes(ctx, client); err != nil {
		return err
	}
	if err := c.startStorage(ctx, startCtx, group, client); err != nil {
		return err
	}
	return awaitUsable(startCtx, client, c.nodes)
}

// startStorage starts all that makes, attaches and grows volumes; nodes is the
// client that the nodes' part in it is done with.
func (c *cluster) startStorage(ctx, startCtx context.Context, group *errgroup.Group, nodes kubernetes.Interface) error {
	client, err := c.clientFor(userProvisioner)
	if err != nil {
		return err
	}
	if err := createStorageObjects(startCtx, client, c.attach); err != nil {
		return err
	}
	driver, err := c.dialDriver(startCtx)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = driver.Close() })

	shared := informers.NewSharedInformerFactory(client, 0)
	provisioner := newProvisioner(client, driver, shared)
	expander, err := newNodeExpander(nodes, driver, shared, c.nodeExpansion)
	if err != nil {
		return err
	}
	group.Go(func() error { return provisioner.run(ctx) })
	group.Go(func() error { return expander.run(ctx) })
	if c.attach {
		attacher := newAttacher(client, shared)
		group.Go(func() error { return attacher.run(ctx) })
	}
	group.Go(func() error { return c.resizerProcess().supervise(ctx) })
	shared.Start(ctx.Done())
	shared.WaitForCacheSync(startCtx.Done())
	return nil
}

// open makes the files, keys and listeners that components share.
func (c *cluster) open() (err error) {
	if c.log, err = openLog(c.options.log); err != nil {
		return err
	}
	if c.restore, err = redirectStderr(c.log); err != nil {
		return err
	}
	if c.sockets, err = socketDir(c.dataDir); err != nil {
		return err
	}
	if c.pki, err = openPKI(filepath.Join(c.dataDir, "pki")); err != nil {
		return err
	}
	c.api, err = net.Listen("tcp", net.JoinHostPort(c.bindAddress, strconv.Itoa(c.port)))
	if err != nil {
		return fmt.Errorf("serve the API (--bind-address and --port set where): %w", err)
	}
	c.control, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve the CSI driver's control: %w", err)
	}
	return c.writeKubeconfigs()
}

func (c *cluster) close() {
	if c.sockets != "" && c.sockets != c.dataDir {
		_ = os.RemoveAll(c.sockets)
	}
	for _, l := range []net.Listener{c.api, c.control} {
		if l != nil {
			_ = l.Close()
		}
	}
	if c.restore != nil {
		c.restore()
	}
	if c.log != nil {
		klog.Flush()
		klog.SetOutput(io.Discard)
		_ = c.log.Close()
	}
}

// socketDir is the data directory, unless a unix socket's path in it would be
// longer than the 107 bytes the kernel takes.
func socketDir(dataDir string) (string, error) {
	const longest = "/etcd-client.sock"
	if len(dataDir)+len(longest) <= 107 {
		return dataDir, nil
	}
	dir, err := os.MkdirTemp("", "devcluster-")
	if err != nil {
		return "", fmt.Errorf("make a directory for sockets: %w", err)
	}
	if len(dir)+len(longest) > 107 {
		return "", errors.Join(fmt.Errorf("the paths of --data-dir and of TMPDIR are both too long for sockets"), os.Remove(dir))
	}
	return dir, nil
}
