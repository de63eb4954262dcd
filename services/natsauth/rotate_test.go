// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/natsauth"
	"github.com/opsrelay/opsrelay/services/natsauth/nkeyfile"
)

// follow connects a user with a key file that may be replaced.
func (s *site) follow(t *testing.T, user string) *client {
	t.Helper()
	key, err := nkeyfile.Open(s.mount(user, "nkey.seed"))
	require.NoError(t, err)
	c := &client{}
	options := []nats.Option{
		key.Option(), nats.ErrorHandler(c.onError), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(tick), nats.ReconnectJitter(tick, tick),
	}
	if s.tls {
		options = append(options, nats.RootCAs(s.mount(user, "ca.crt")), nats.ClientCert(s.mount(user, "tls.crt"), s.mount(user, "tls.key")))
	}
	c.Conn, err = nats.Connect(fmt.Sprintf("nats://%s", s.srv.Addr()), options...)
	require.NoError(t, err)
	key.Follow(c.Conn)
	t.Cleanup(c.Close)
	return c
}

// reconnects drops the connection and waits until it is back.
func (c *client) reconnects(t *testing.T) {
	t.Helper()
	before := c.Stats().Reconnects
	require.NoError(t, c.ForceReconnect())
	require.Eventually(t, func() bool { return c.IsConnected() && c.Stats().Reconnects > before }, patience, tick)
	require.NoError(t, c.Flush())
}

// connections are those that the server has now.
func (s *site) connections(t *testing.T) []*server.ConnInfo {
	t.Helper()
	connections, err := s.srv.Connz(&server.ConnzOptions{Username: true})
	require.NoError(t, err)
	return connections.Conns
}

func TestAKeyIsRotatedWithoutARestart(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{Subscribers: []string{"partner"}})
	pauser, expander, partner := s.follow(t, "pauser"), s.follow(t, "expander"), s.follow(t, "partner")
	for _, user := range []string{"pauser", "partner"} {
		older := s.mount(user, "older.seed")
		seed, err := os.ReadFile(s.mount(user, "nkey.seed"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(older, seed, 0o600))
		c := map[string]*client{"pauser": pauser, "partner": partner}[user]

		set, err := natsauth.Load(s.output)
		require.NoError(t, err)
		files, err := set.Rotate(user)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"nats-auth.state", "nats-server.yaml", "nats-" + user + ".yaml"}, files.Names())
		s.deliver(t, files)
		s.reload(t)
		require.True(t, c.IsConnected())
		c.reconnects(t)
		// Who has not got the new key yet is let on with the older one.
		require.NoError(t, s.tryKey(older))

		set, err = natsauth.Load(s.output)
		require.NoError(t, err)
		_, err = set.Rotate(user)
		require.ErrorContains(t, err, "--retire "+user)
		files, err = set.Retire(user)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"nats-auth.state", "nats-server.yaml"}, files.Names())
		s.deliver(t, files)
		s.reload(t)
		require.ErrorIs(t, s.tryKey(older), nats.ErrAuthorization)
		require.NoError(t, s.tryKey(s.mount(user, "nkey.seed")))
		c.reconnects(t)
		_, err = set.Retire(user)
		require.ErrorContains(t, err, "one key only")
	}
	// Nobody else noticed.
	require.Zero(t, expander.Stats().Reconnects)
	require.Empty(t, expander.all())
}

// tryKey connects once.
func (s *site) tryKey(file string) error {
	option, err := nats.NkeyOptionFromSeed(file)
	if err != nil {
		return err
	}
	conn, err := nats.Connect(fmt.Sprintf("nats://%s", s.srv.Addr()), option)
	if err == nil {
		conn.Close()
	}
	return err
}

func TestCertificatesAreAskedForAndRotatedWithoutARestart(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{TLS: true, Names: []string{"127.0.0.1"}})
	s.provision(t)
	pauser := s.connect(t, "pauser") // the real bus
	url := fmt.Sprintf("nats://%s", s.srv.Addr())
	key, err := nats.NkeyOptionFromSeed(s.mount("pauser", "nkey.seed"))
	require.NoError(t, err)

	_, err = nats.Connect(url, key, nats.RootCAs(s.mount("pauser", "ca.crt")))
	// It may be told why, or find the connection closed before it has read that.
	require.Error(t, err, "a key without a certificate is not enough")
	_, err = nats.Connect(url, nats.RootCAs(s.mount("pauser", "ca.crt")), nats.ClientCert(s.mount("pauser", "tls.crt"), s.mount("pauser", "tls.key")))
	require.ErrorIs(t, err, nats.ErrAuthorization, "nor is a certificate without a key")
	other, _, err := natsauth.New(natsauth.Options{TLS: true, Names: []string{"127.0.0.1"}})
	require.NoError(t, err)
	files, err := other.Rotate("pauser")
	require.NoError(t, err)
	stranger := &site{output: t.TempDir(), mounts: t.TempDir()}
	stranger.deliver(t, files)
	_, err = nats.Connect(url, key, nats.RootCAs(s.mount("pauser", "ca.crt")), nats.ClientCert(stranger.mount("pauser", "tls.crt"), stranger.mount("pauser", "tls.key")))
	require.Error(t, err, "nor one of another authority")
	own, err := nats.Connect(url, key, nats.RootCAs(s.mount("pauser", "ca.crt")), nats.ClientCert(s.mount("pauser", "tls.crt"), s.mount("pauser", "tls.key")))
	require.NoError(t, err, "all else was right")
	own.Close()
	_, err = nats.Connect(url, key, nats.RootCAs(stranger.mount("pauser", "ca.crt")), nats.ClientCert(s.mount("pauser", "tls.crt"), s.mount("pauser", "tls.key")))
	require.ErrorContains(t, err, "certificate signed by unknown authority", "and a client knows its server")

	// The server's certificate: who is connected stays, who comes sees the new one.
	before := fingerprint(t, s.mount("server", "tls.crt"))
	files, err = s.set.Rotate(natsauth.ServerName)
	require.NoError(t, err)
	s.deliver(t, files)
	require.NotEqual(t, before, fingerprint(t, s.mount("server", "tls.crt")))
	s.reload(t)
	require.NoError(t, pauser.Ready())
	expander := s.follow(t, "expander")
	state, err := expander.TLSConnectionState()
	require.NoError(t, err)
	require.Equal(t, fingerprint(t, s.mount("server", "tls.crt")), hash(state.PeerCertificates[0].Raw))

	// A client's: it shows the new one when it connects next.
	files, err = s.set.Rotate("expander")
	require.NoError(t, err)
	s.deliver(t, files)
	s.reload(t)
	expander.reconnects(t)
	require.Contains(t, s.shown(t), fingerprint(t, s.mount("expander", "tls.crt")))
}

// shown are the fingerprints of the certificates that clients have shown.
func (s *site) shown(t *testing.T) []string {
	t.Helper()
	var shown []string
	for _, connection := range s.connections(t) {
		for _, cert := range connection.TLSPeerCerts {
			shown = append(shown, cert.CertSha256)
		}
	}
	return shown
}

// TestTheBusShowsARotatedCertificate is the same with the process's own
// connection.
func TestTheBusShowsARotatedCertificate(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{TLS: true, Names: []string{"127.0.0.1"}})
	pauser := s.connect(t, "pauser")
	other, err := natsauth.Load(s.output)
	require.NoError(t, err)
	files, err := other.Rotate("pauser")
	require.NoError(t, err)
	secret := data(t, files["nats-pauser.yaml"])
	for _, file := range []string{"tls.crt", "tls.key"} {
		require.NoError(t, os.WriteFile(s.mount("pauser", file), []byte(secret[file]), 0o600))
	}
	require.NotContains(t, s.shown(t), fingerprint(t, s.mount("pauser", "tls.crt")))
	require.NoError(t, pauser.JetStream().Conn().ForceReconnect())
	require.Eventually(t, func() bool {
		shown := s.shown(t)
		return len(shown) == 1 && shown[0] == fingerprint(t, s.mount("pauser", "tls.crt")) && pauser.Ready() == nil
	}, patience, tick)
}

// fingerprint is that of the certificate in a file.
func fingerprint(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	block, _ := pem.Decode(data)
	require.NotNil(t, block)
	_, err = x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return hash(block.Bytes)
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
