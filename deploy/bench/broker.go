// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsMode is what the relay runs over.
type natsMode string

// The modes. Streams are files in all of them.
const (
	natsR1       natsMode = "r1"
	natsR3       natsMode = "r3"
	natsAlways   natsMode = "always"
	natsEmbedded natsMode = "embedded"
)

func (m natsMode) check() error {
	switch m {
	case natsR1, natsR3, natsAlways, natsEmbedded:
		return nil
	default:
		return fmt.Errorf("-nats %s: known are r1, r3, always, embedded", m)
	}
}

// replicas is how many servers keep a stream.
func (m natsMode) replicas() int {
	if m == natsR3 {
		return 3
	}
	return 1
}

// brokerCommand makes this program a NATS server: a process of its own, whose
// cost can be told from everybody else's.
const brokerCommand = "broker"

// brokerPatience bounds the start of the servers.
const brokerPatience = time.Minute

// brokers are NATS servers in processes of their own.
type brokers struct {
	URL string
	cmd []*exec.Cmd
}

// startBrokers starts the servers of the mode; none if it is embedded.
func startBrokers(ctx context.Context, mode natsMode, directory string) (*brokers, error) {
	b := &brokers{}
	if mode == natsEmbedded {
		return b, nil
	}
	var routes, urls []string
	for range mode.replicas() {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		routes = append(routes, "nats://"+address)
	}
	for i := range routes {
		args := []string{brokerCommand, filepath.Join(directory, "nats"+strconv.Itoa(i)), strconv.FormatBool(mode == natsAlways)}
		if len(routes) > 1 {
			args = append(args, strconv.Itoa(i), strings.Join(routes, ","))
		}
		address, err := b.start(args)
		if err != nil {
			return nil, errors.Join(err, b.stop())
		}
		urls = append(urls, address)
	}
	b.URL = strings.Join(urls, ",")
	if err := b.ready(ctx); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

// start starts one server, which says where it listens.
func (b *brokers) start(args []string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start the broker: %w", err)
	}
	b.cmd = append(b.cmd, cmd)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("start the broker: it said nothing: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// ready waits until the servers keep streams: a new cluster first elects.
func (b *brokers) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	conn, err := nats.Connect(b.URL)
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	config := jetstream.StreamConfig{Name: "READY", Subjects: []string{"ready"}, Replicas: len(b.cmd)}
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second) // without a leader nobody answers
		_, err = js.CreateOrUpdateStream(attempt, config)
		cancel()
		if err == nil {
			return js.DeleteStream(ctx, config.Name)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("start the broker: %w", err)
		}
	}
}

// pids are the servers' process ids, by name.
func (b *brokers) pids() map[string]int {
	pids := map[string]int{}
	for i, cmd := range b.cmd {
		name := "nats"
		if i > 0 {
			name += "." + strconv.Itoa(i+1)
		}
		pids[name] = cmd.Process.Pid
	}
	return pids
}

func (b *brokers) stop() error {
	var failures []error
	for _, cmd := range b.cmd {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		failures = append(failures, cmd.Wait())
	}
	return errors.Join(failures...)
}

// runBroker is a NATS server until it is told to end:
// DIRECTORY SYNC-ALWAYS [INDEX ROUTES].
func runBroker(args []string) error {
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, NoSigs: true, NoLog: true, StoreDir: args[0]}
	options.SyncAlways = args[1] == "true"
	if len(args) > 2 {
		if err := clusterOptions(options, args[2], strings.Split(args[3], ",")); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	broker, err := server.NewServer(options)
	if err != nil {
		return err
	}
	broker.Start()
	if !broker.ReadyForConnections(brokerPatience) {
		return errors.New("the broker does not start")
	}
	fmt.Println(broker.ClientURL())
	<-ctx.Done()
	broker.Shutdown()
	broker.WaitForShutdown()
	return nil
}

func clusterOptions(options *server.Options, index string, routes []string) error {
	for _, route := range routes {
		address, err := url.Parse(route)
		if err != nil {
			return err
		}
		options.Routes = append(options.Routes, address)
	}
	i, err := strconv.Atoi(index)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(options.Routes[i].Port())
	if err != nil {
		return err
	}
	options.ServerName = "n" + index
	options.Cluster = server.ClusterOpts{Name: "bench", Host: options.Routes[i].Hostname(), Port: port}
	return nil
}

// freeAddress is one that nobody listens to just now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
