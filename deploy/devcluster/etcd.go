// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// slowRequest is when etcd logs a request; embedded, its default is 0: all of them.
const slowRequest = 300 * time.Millisecond

// etcdSocket is where kube-apiserver reaches etcd. Only this user can.
func (c *cluster) etcdSocket() string { return filepath.Join(c.sockets, "etcd-client.sock") }

// startEtcd starts a single member and waits until it serves. Its timing is
// that of a cluster of one on one machine: an election takes 100 ms.
func (c *cluster) startEtcd(ctx context.Context) (*embed.Etcd, error) {
	etcd, err := embed.StartEtcd(c.etcdConfig())
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", c.dataDir, err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err = <-etcd.Err():
	case <-ctx.Done():
		err = ctx.Err()
	}
	etcd.Close()
	return nil, fmt.Errorf("start etcd in %s: %w", c.dataDir, err)
}

// etcdConfig leaves the advertised addresses at their defaults: they have to
// look like host:port, and with one member nobody dials them.
func (c *cluster) etcdConfig() *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(c.dataDir, "etcd")
	cfg.UnsafeNoFsync = c.noFsync
	cfg.TickMs = 10
	cfg.ElectionMs = 100
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: c.etcdSocket()}}
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(c.sockets, "etcd-peer.sock")}}
	cfg.LogLevel = "warn"
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(zapcore.NewCore(
		zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(c.log), zapcore.WarnLevel)))
	cfg.WarningUnaryRequestDuration = slowRequest
	return cfg
}
