// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/testcontainers/testcontainers-go"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

// The names of the servers: the single one's, that of the Service in front of
// three, and that of each of those.
const (
	nameSingle  = "nats"
	nameService = "nats.opsrelay.svc"
	domainThree = ".nats-headless.opsrelay.svc.cluster.local"
)

// The directories of a server: its own configuration, and its Secret.
const (
	directoryConfig = "/etc/nats"
	directorySecret = "/etc/nats-auth"
)

// monitorTimeout is how long a server has to answer its administrator.
const monitorTimeout = 5 * time.Second

// broker is NATS: one server, or a cluster of three. Whoever talks to it has a
// key and a certificate.
type broker struct {
	*engine
	credentials *credentials
	// name is that at which clients find it.
	name    string
	servers map[string]*testcontainers.DockerContainer
}

// url is where services find it.
func (b *broker) url() string { return "tls://" + b.name + ":4222" }

// startSingle starts one server, configured as in deploy/overlays/dev.
func startSingle(ctx context.Context, e *engine, c *credentials) (*broker, error) {
	b := &broker{engine: e, credentials: c, name: nameSingle, servers: map[string]*testcontainers.DockerContainer{}}
	if err := b.startServer(ctx, "nats-0", "dev", nameSingle); err != nil {
		return b, err
	}
	return b, b.ready(ctx)
}

// startThree starts three servers, configured as in deploy/overlays/production.
func startThree(ctx context.Context, e *engine, c *credentials) (*broker, error) {
	b := &broker{engine: e, credentials: c, name: nameService, servers: map[string]*testcontainers.DockerContainer{}}
	for n := range 3 {
		name := fmt.Sprintf("nats-%d", n)
		if err := b.startServer(ctx, name, "production", nameService, name+domainThree); err != nil {
			return b, err
		}
	}
	return b, b.ready(ctx)
}

// startServer starts a server with the configuration of the overlay.
func (b *broker) startServer(ctx context.Context, name, overlay string, aliases ...string) error {
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	config, err := os.ReadFile(filepath.Join(root, "deploy", "overlays", overlay, "nats.conf"))
	if err != nil {
		return fmt.Errorf("configuration of NATS: %w", err)
	}
	text := string(config)
	if !strings.Contains(text, "auth.conf") {
		text += "\ninclude ../nats-auth/auth.conf\n" // dev lets everybody on
	}
	secret, err := b.credentials.secret(natsauth.ServerName)
	if err != nil {
		return err
	}
	b.servers[name], err = b.start(ctx, imageNATS, aliases,
		testcontainers.WithEnv(map[string]string{"POD_NAME": name}),
		b.withFiles(directoryConfig, files{"nats.conf": text}), b.withFiles(directorySecret, secret))
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return nil
}

// ready waits until every server is.
func (b *broker) ready(ctx context.Context) error {
	for name, server := range b.servers {
		if err := b.awaitOK(ctx, server, "8222", "/healthz"); err != nil {
			return fmt.Errorf("%s is not ready: %w\n%s", name, err, b.logOf(ctx, server))
		}
	}
	return nil
}

// renew gives the servers their Secret as it is now, and has them read it.
func (b *broker) renew(ctx context.Context) error {
	secret, err := b.credentials.secret(natsauth.ServerName)
	if err != nil {
		return err
	}
	for name, server := range b.servers {
		err := b.deliver(ctx, server.GetContainerID(), directorySecret, secret)
		if err == nil {
			err = b.signal(ctx, server, "SIGHUP")
		}
		if err != nil {
			return fmt.Errorf("renew the Secret of %s: %w", name, err)
		}
	}
	return nil
}

// connect connects a user to one of the servers.
func (b *broker) connect(ctx context.Context, user string, to *testcontainers.DockerContainer, options ...nats.Option) (*nats.Conn, error) {
	address, err := b.address(ctx, to)
	if err != nil {
		return nil, err
	}
	return b.credentials.connect(user, "tls://"+address+":4222", b.name, options...)
}

// ask asks a server about itself, as its administrator.
func (b *broker) ask(ctx context.Context, of *testcontainers.DockerContainer, what string, options, answer any) error {
	conn, err := b.connect(ctx, userSystem, of)
	if err != nil {
		return err
	}
	defer conn.Close()
	question, err := json.Marshal(options)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", what, err)
	}
	reply, err := conn.Request("$SYS.REQ.SERVER."+conn.ConnectedServerId()+"."+what, question, monitorTimeout)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", what, err)
	}
	if err := json.Unmarshal(reply.Data, &server.ServerAPIResponse{Data: answer}); err != nil {
		return fmt.Errorf("ask for %s: %w", what, err)
	}
	return nil
}

// connections are those that a server has.
func (b *broker) connections(ctx context.Context, of *testcontainers.DockerContainer) ([]*server.ConnInfo, error) {
	var answer server.Connz
	err := b.ask(ctx, of, "CONNZ", server.ConnzOptions{Username: true}, &answer)
	return answer.Conns, err
}

// leader waits until a server other than those leads the relay's stream, and
// all the others follow it closely. Its name is returned.
func (b *broker) leader(ctx context.Context, except ...string) (string, error) {
	var leader string
	last := errors.New("nobody was asked")
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		for name, of := range b.servers {
			if slices.Contains(except, name) {
				continue
			}
			var leads bool
			if leads, last = b.leads(ctx, name, of, len(b.servers)-1-len(except)); leads {
				leader = name
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return "", fmt.Errorf("nobody leads the stream: %w", errors.Join(err, last))
	}
	return leader, nil
}

// leads reports whether the server leads the relay's stream, with that many that
// follow closely.
func (b *broker) leads(ctx context.Context, name string, of *testcontainers.DockerContainer, followers int) (bool, error) {
	var answer server.JSInfo
	if err := b.ask(ctx, of, "JSZ", server.JSzOptions{Accounts: true, Streams: true}, &answer); err != nil {
		return false, err
	}
	for _, account := range answer.AccountDetails {
		for _, stream := range account.Streams {
			if stream.Name != events.Stream || stream.Cluster == nil || stream.Cluster.Leader != name {
				continue
			}
			current := 0
			for _, peer := range stream.Cluster.Replicas {
				if peer.Current && !peer.Offline {
					current++
				}
			}
			return current >= followers, nil
		}
	}
	return false, nil
}

// explain prints what each server thinks of the relay's stream and its consumers,
// and the end of what it logged.
func (b *broker) explain(ctx context.Context, t *testing.T) {
	const linesTold = 40
	for name, of := range b.servers {
		var answer server.JSInfo
		options := server.JSzOptions{Accounts: true, Streams: true, Consumer: true, RaftGroups: true}
		if err := b.ask(ctx, of, "JSZ", options, &answer); err != nil {
			t.Logf("%s: %v", name, err)
		}
		for _, account := range answer.AccountDetails {
			for _, stream := range account.Streams {
				told, err := json.Marshal(stream)
				t.Logf("%s: stream %s: %s %v", name, stream.Name, told, err)
			}
		}
		lines := strings.Split(strings.TrimSpace(b.logOf(ctx, of)), "\n")
		for _, line := range lines[max(0, len(lines)-linesTold):] {
			t.Logf("%s: %s", name, line)
		}
	}
}
