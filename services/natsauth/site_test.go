// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

// patience is how long a test waits for what should take milliseconds, tick how
// often it looks.
const (
	patience = 30 * time.Second
	tick     = 5 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a server with a generated configuration, and the directories in which
// it and its users find their Secrets.
type site struct {
	// output has the manifests, mounts a directory for each Secret.
	output, mounts string
	// store is where the server keeps its streams.
	store string
	set   *natsauth.Set
	srv   *server.Server
	tls   bool
}

// start makes a set and starts a server with it. The given lines precede the
// configuration.
func start(t *testing.T, options natsauth.Options, lines ...string) *site {
	t.Helper()
	s := &site{output: t.TempDir(), mounts: t.TempDir(), tls: options.TLS}
	options.Namespace, options.Mount = "opsrelay", filepath.Join(s.mounts, "nats-server")
	var files natsauth.Files
	var err error
	s.set, files, err = natsauth.New(options)
	require.NoError(t, err)
	s.deliver(t, files)
	started := s.options(t, lines...)
	s.srv = bustest.Start(t, started)
	s.store = started.StoreDir
	return s
}

// options are those of the server's own file, which includes the generated
// one.
func (s *site) options(t *testing.T, lines ...string) *server.Options {
	t.Helper()
	lines = append(lines, "include ./auth.conf")
	file := filepath.Join(s.mounts, "nats-server", "nats.conf")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600))
	options, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	options.Host, options.Port = "127.0.0.1", server.RANDOM_PORT
	return options
}

// deliver writes the manifests, and every Secret to where it is mounted: what
// kubectl and the kubelet do.
func (s *site) deliver(t *testing.T, files natsauth.Files) {
	t.Helper()
	require.NoError(t, files.Write(s.output))
	for _, name := range files.Names() {
		secret, isManifest := strings.CutSuffix(name, ".yaml")
		if !isManifest {
			continue
		}
		for key, value := range data(t, files[name]) {
			file := filepath.Join(s.mounts, secret, key)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
			require.NoError(t, os.WriteFile(file, []byte(value), 0o600))
		}
	}
}

// data are the files in a Secret.
func data(t *testing.T, manifest []byte) map[string]string {
	t.Helper()
	var secret struct {
		Data map[string]string `json:"stringData"`
	}
	require.NoError(t, yaml.Unmarshal(manifest, &secret))
	return secret.Data
}

// reload has the server read its configuration again, as SIGHUP does.
func (s *site) reload(t *testing.T) {
	t.Helper()
	options := s.options(t)
	options.Port = s.srv.Addr().(*net.TCPAddr).Port
	options.JetStream, options.StoreDir, options.NoSigs, options.NoLog = true, s.store, true, true
	require.NoError(t, s.srv.ReloadOptions(options))
}

// mount is a file of a user's Secret.
func (s *site) mount(user, file string) string {
	return filepath.Join(s.mounts, natsauth.SecretName(user), file)
}

// config is how the process of a user connects.
func (s *site) config(user string) bus.Config {
	config := bus.Config{Name: user, URL: fmt.Sprintf("nats://%s", s.srv.Addr()), NKeyFile: s.mount(user, "nkey.seed")}
	if s.tls {
		config.CAFile, config.CertFile, config.KeyFile = s.mount(user, "ca.crt"), s.mount(user, "tls.crt"), s.mount(user, "tls.key")
	}
	return config
}

// connect is the real bus with a user's rights.
func (s *site) connect(t *testing.T, user string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bustest.Context(t), s.config(user))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close(bustest.Context(t))) })
	return b
}

// provision creates streams and consumers with the provisioner's rights.
func (s *site) provision(t *testing.T) {
	t.Helper()
	b := s.connect(t, natsauth.ProvisionUser)
	require.NoError(t, bus.Provision(bustest.Context(t), b.JetStream(), 1))
	require.NoError(t, b.Ready())
}

// client is a connection of a user, without the bus, that keeps what the server
// refuses.
type client struct {
	*nats.Conn

	mu      sync.Mutex
	refused []string
}

func (s *site) client(t *testing.T, user string, options ...nats.Option) *client {
	t.Helper()
	c := &client{}
	key, err := nats.NkeyOptionFromSeed(s.mount(user, "nkey.seed"))
	require.NoError(t, err)
	options = append(options, key, nats.CustomInboxPrefix("_INBOX_"+user), nats.ErrorHandler(c.onError))
	c.Conn, err = nats.Connect(fmt.Sprintf("nats://%s", s.srv.Addr()), options...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func (c *client) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	words := strings.TrimPrefix(err.Error(), "nats: permissions violation: ")
	c.refused = append(c.refused, words)
}

// all lists what the server refused, in its words.
func (c *client) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refused)
}
