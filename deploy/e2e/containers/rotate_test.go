// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

// Every service's key and certificate, and the servers' certificate, are made
// again in the middle of expansions, as `opsrelay nats-auth --help` says. Nothing
// is restarted.
func TestCredentialsAreRotated(t *testing.T) {
	b := setup(t, 1)
	databases := numbered(2)
	b.createDatabases(databases...)
	b.hold(databases...)
	began := b.started()
	before, err := b.credentials.keys()
	require.NoError(t, err)

	b.rotate(natsauth.ServerName)
	require.NoError(t, b.broker.renew(b.ctx))
	for _, service := range stack.Relay {
		b.rotate(service)
		require.NoError(t, b.broker.renew(b.ctx)) // it knows two keys now
		secret, err := b.credentials.secret(service)
		require.NoError(t, err)
		require.NoError(t, b.deliver(b.ctx, b.services[service][0].GetContainerID(), identityDirectory, secret))
		require.NoError(t, b.credentials.run(b.ctx, "--retire="+service))
		require.NoError(t, b.broker.renew(b.ctx)) // the older one is let on no more
	}
	b.connectedAs(before)
	b.serverShows()
	b.release(databases...)
	b.succeeded(databases...)
	require.NoError(t, b.ready(b.ctx))
	require.Equal(t, began, b.started(), "a service was restarted")
}

// rotate gives a user, or the server, a new key and certificate.
func (b *bundle) rotate(name string) {
	b.Helper()
	require.NoError(b, b.credentials.run(b.ctx, "--rotate="+name))
}

// started is when each service's container was started.
func (b *bundle) started() map[string]string {
	b.Helper()
	times := map[string]string{}
	for _, service := range stack.Relay {
		state, err := b.services[service][0].State(b.ctx)
		require.NoError(b, err)
		times[service] = state.StartedAt
	}
	return times
}

// connectedAs waits until every service is connected with its newest key, which
// must be another one than before.
func (b *bundle) connectedAs(before map[string]string) {
	b.Helper()
	keys, err := b.credentials.keys()
	require.NoError(b, err)
	for _, service := range stack.Relay {
		require.NotEqual(b, before[service], keys[service], service)
	}
	var users map[string]string
	err = wait.PollUntilContextTimeout(b.ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var err error
		if users, err = b.usersByName(ctx); err != nil {
			return false, nil // it may just be reading its configuration
		}
		for _, service := range stack.Relay {
			if users[service] != keys[service] {
				return false, nil
			}
		}
		return true, nil
	})
	require.NoError(b, err, "connected are %v, newest keys are %v", users, keys)
}

// serverShows waits until the single server shows the certificate of its Secret.
func (b *bundle) serverShows() {
	b.Helper()
	secret, err := b.credentials.secret(natsauth.ServerName)
	require.NoError(b, err)
	block, _ := pem.Decode([]byte(secret["tls.crt"]))
	want, err := x509.ParseCertificate(block.Bytes)
	require.NoError(b, err)
	err = wait.PollUntilContextTimeout(b.ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		conn, err := b.broker.connect(ctx, userSystem, b.broker.servers["nats-0"])
		if err != nil {
			return false, nil // the same
		}
		defer conn.Close()
		state, err := conn.TLSConnectionState()
		return err == nil && state.PeerCertificates[0].Equal(want), nil
	})
	require.NoError(b, err, "the server does not show its new certificate")
}

// usersByName are the public keys with which clients are connected to the single
// server. It is an error if one is connected without TLS.
func (b *bundle) usersByName(ctx context.Context) (map[string]string, error) {
	connections, err := b.broker.connections(ctx, b.broker.servers["nats-0"])
	if err != nil {
		return nil, err
	}
	users := map[string]string{}
	for _, c := range connections {
		if c.TLSVersion == "" {
			return nil, fmt.Errorf("%s is connected without TLS", c.Name)
		}
		if c.AuthorizedUser == "" {
			return nil, errors.New(c.Name + " is connected as nobody")
		}
		users[c.Name] = c.AuthorizedUser
	}
	return users, nil
}
