// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/events"
)

// brokerTimeout bounds the start of the embedded broker, which reads back what
// it has stored.
const brokerTimeout = time.Minute

// embedded is a NATS server with JetStream in this process. A server that could
// not write stores nothing more until it is restarted, so it is, in its place:
// whoever is connected reconnects.
type embedded struct {
	options *server.Options

	mu     sync.Mutex
	server *server.Server
}

// startBroker starts the server. It listens on the address, so that others can
// subscribe; empty means that it does not. The caller must stop it.
func startBroker(directory, address string) (*embedded, error) {
	options := &server.Options{
		ServerName: "opsrelay",
		JetStream:  true,
		StoreDir:   directory,
		// The streams have limits, and the disk is what there is: a share of what was
		// free at the start would be a limit that nobody has chosen.
		JetStreamMaxStore: embeddedStorage,
		// The process that we are part of handles signals, and a single server
		// must not lose what it acknowledged when the machine stops.
		NoSigs:     true,
		SyncAlways: true,
		DontListen: address == "",
	}
	if address != "" {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("--nats-address: %w", err)
		}
		if options.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("--nats-address: port %q is no number", port)
		}
		if options.Host = host; options.Port == 0 {
			options.Port = server.RANDOM_PORT
		}
	}
	e := &embedded{options: options}
	return e, e.start()
}

// embeddedStorage is what streams may reserve together, in bytes: no bound.
const embeddedStorage = 1 << 50

func (e *embedded) start() error {
	broker, err := server.NewServer(e.options)
	if err != nil {
		return fmt.Errorf("start the embedded NATS server: %w", err)
	}
	broker.Start()
	if !broker.ReadyForConnections(brokerTimeout) || !broker.JetStreamEnabled() {
		broker.Shutdown()
		broker.WaitForShutdown()
		return errors.New("start the embedded NATS server: not ready in a minute: is --nats-address free, and can --data-dir be written?")
	}
	if address, ok := broker.Addr().(*net.TCPAddr); ok {
		e.options.Port = address.Port // it is found there when it comes back
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = broker
	return nil
}

// stop stops the server. What it acknowledged is on the disk.
func (e *embedded) stop() {
	broker := e.now()
	broker.Shutdown()
	broker.WaitForShutdown()
}

func (e *embedded) now() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server
}

// InProcessConn implements [nats.InProcessConnProvider].
func (e *embedded) InProcessConn() (net.Conn, error) { return e.now().InProcessConn() }

// trouble is why the server stores nothing any more and has to be restarted; nil
// if it need not.
func (e *embedded) trouble() error {
	broker := e.now()
	if !broker.JetStreamEnabled() {
		return errors.New("it has turned JetStream off")
	}
	if health := broker.Healthz(&server.HealthzOptions{}); health.Error != "" {
		return errors.New(health.Error)
	}
	return nil
}

// keep looks after the server whenever it is said to store nothing, until the
// context ends: where that is so, it is restarted as soon as the disk can be
// written. A server that does not come back is an error.
func (e *embedded) keep(ctx context.Context, suspected <-chan struct{}) error {
	log := zerolog.Ctx(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-suspected:
		}
		trouble := e.trouble()
		if trouble == nil {
			continue
		}
		log.Error().Err(trouble).Msg("the embedded NATS server stores nothing any more; it is restarted once its directory can be written")
		if !e.untilWritable(ctx) {
			return nil
		}
		e.stop()
		if err := e.start(); err != nil {
			return fmt.Errorf("%w (it was stopped because it stored nothing any more: %w)", err, trouble)
		}
		log.Info().Msg("the embedded NATS server was restarted")
	}
}

const (
	// trialBytes is what must fit on the disk before the server is restarted: enough
	// for what it writes at its start, and for the chains under way to go on.
	trialBytes = 4 << 20
	// trialEvery is how often that is tried: nobody says when a disk has room.
	trialEvery = 2 * time.Second
)

// untilWritable returns when the directory takes what the server needs, or false
// when the context ended first.
func (e *embedded) untilWritable(ctx context.Context) bool {
	ticker := time.NewTicker(trialEvery)
	defer ticker.Stop()
	for said := false; ; {
		err := trial(e.options.StoreDir)
		if err == nil {
			return true
		}
		if !said {
			zerolog.Ctx(ctx).Error().Err(err).Msg("waiting for room in the embedded NATS server's directory")
			said = true
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

// trial writes a file and removes it.
func trial(directory string) error {
	path := filepath.Join(directory, "opsrelay.trial")
	defer func() { _ = os.Remove(path) }() // it may not be there
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, trialBytes))
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// checkDisk refuses a disk that is too small for streams that are not there yet.
func checkDisk(directory string, maxBytes int64) error {
	if _, err := os.Stat(filepath.Join(directory, server.JetStreamStoreDir)); !errors.Is(err, os.ErrNotExist) {
		return nil // they are there: what they lack is said when they lack it
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(directory, &disk); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	needed, free := events.TotalBytes(maxBytes), int64(disk.Bavail)*disk.Bsize
	if free < needed {
		return fmt.Errorf("--data-dir %s: the streams may need %d bytes, and %d are free: make them smaller with --max-bytes, or name another directory",
			directory, needed, free)
	}
	return nil
}
