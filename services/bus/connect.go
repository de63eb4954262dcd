// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/services/natsauth/nkeyfile"
)

// Config says how a process connects to the broker.
type Config struct {
	// URL is the address of the servers, comma-separated. It is not used with
	// InProcess.
	URL string
	// Name is the process's: "pauser" for one. The broker shows it.
	Name string
	// CredentialsFile holds a user's JWT and key, NKeyFile the seed of a bare
	// key. One of them at most. Credentials are read again at each reconnect, so
	// a mounted secret may be rotated.
	CredentialsFile string
	NKeyFile        string
	// CAFile holds the authorities that sign the servers' certificates, CertFile
	// and KeyFile this client's own certificate.
	CAFile, CertFile, KeyFile string
	// InProcess is an embedded server to be connected to without a network.
	InProcess nats.InProcessConnProvider
	// InboxPrefix is where answers arrive. It is private to a user so that none
	// reads another's. If not set, it is "_INBOX_<name>".
	InboxPrefix string
	// Registerer gets the metrics of the connection and of what is published
	// over it. It may be nil.
	Registerer prometheus.Registerer
}

// Bus is one connection to the broker.
type Bus struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	name   string
	log    zerolog.Logger
	closed chan struct{}
	// key is what it authenticates with; nil where it is something else.
	key     *nkeyfile.Key
	metrics atomic.Pointer[metrics]
	// cluster is for which cluster this process works, empty where that is not
	// known; foreign has the others whose facts came: see JoinCluster.
	cluster string
	foreign sync.Map
	// clock is the broker's, as far as it is known.
	clock clock
	// writes is how it takes what is published, room how much it has for more.
	writes writes
	room   room
	// measured says that somebody looks at the metrics.
	measured atomic.Bool

	mu sync.Mutex
	// refused is what the broker last forbade; a reconnect forgives it.
	refused error
	// reconnectedAt is when it last was, if ever.
	reconnectedAt time.Time
	// reconnected are called after each reconnect.
	reconnected map[*func()]struct{}
}

// drainTimeout bounds how long a closing connection waits for what is under
// way; a pod's termination grace period must be longer.
const drainTimeout = 25 * time.Second

// Connect returns once the broker has answered, and tries until the context
// ends. The connection then lives, through any number of reconnects, until it is
// closed: [Bus.Closed] tells.
func Connect(ctx context.Context, cfg Config) (*Bus, error) {
	b := &Bus{
		name: cfg.Name, log: zerolog.Ctx(ctx).With().Str("nats", cfg.Name).Logger(),
		closed: make(chan struct{}), reconnected: map[*func()]struct{}{},
		writes: writes{again: make(chan struct{}), changed: map[*func()]struct{}{}},
	}
	b.metrics.Store(newMetrics(cfg.Registerer))
	b.measured.Store(cfg.Registerer != nil)
	attempts := &attempts{connected: make(chan struct{})}
	options, err := b.options(cfg, attempts)
	if err != nil {
		return nil, err
	}
	b.conn, err = nats.Connect(cfg.URL, options...)
	if err != nil {
		return nil, unreachable(cfg, err)
	}
	if b.key != nil {
		b.key.Follow(b.conn)
	}
	if b.conn.IsConnected() {
		attempts.succeeded()
	}
	select {
	case <-attempts.connected:
	case <-ctx.Done():
		b.conn.Close()
		<-b.closed
		return nil, unreachable(cfg, errors.Join(attempts.last(), context.Cause(ctx)))
	case <-b.closed:
		return nil, unreachable(cfg, errors.Join(attempts.last(), b.conn.LastError()))
	}
	if b.js, err = jetstream.New(b.conn); err != nil {
		b.conn.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	b.tellConnected(1)
	b.tellWritable()
	return b, nil
}

// options are those of a process that must never give up: a lost broker is
// waited for, a publish without one fails at once instead of being sent later,
// when it may be stale.
func (b *Bus) options(cfg Config, attempts *attempts) ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(cfg.Name),
		nats.CustomInboxPrefix(inboxPrefix(cfg)),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(time.Second),
		nats.ReconnectJitter(500*time.Millisecond, 2*time.Second),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(20 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DrainTimeout(drainTimeout),
		nats.ConnectHandler(func(*nats.Conn) { attempts.succeeded() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { attempts.failed(err) }),
		nats.ErrorHandler(b.onError),
		nats.DisconnectErrHandler(b.onDisconnect),
		nats.ReconnectHandler(b.onReconnect),
		nats.ClosedHandler(func(*nats.Conn) { b.tellConnected(0); close(b.closed) }),
	}
	if cfg.InProcess != nil {
		options = append(options, nats.InProcessServer(cfg.InProcess))
	}
	if cfg.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(cfg.CredentialsFile))
	}
	if cfg.NKeyFile != "" {
		key, err := nkeyfile.Open(cfg.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("read NATS key %s: %w", cfg.NKeyFile, err)
		}
		b.key = key
		options = append(options, key.Option())
	}
	if cfg.CAFile != "" {
		options = append(options, nats.RootCAs(cfg.CAFile))
	}
	if cfg.CertFile != "" || cfg.KeyFile != "" {
		options = append(options, nats.ClientCert(cfg.CertFile, cfg.KeyFile))
	}
	return options, nil
}

func inboxPrefix(cfg Config) string {
	if cfg.InboxPrefix != "" {
		return cfg.InboxPrefix
	}
	return "_INBOX_" + cfg.Name
}

// unreachable says what to check.
func unreachable(cfg Config, err error) error {
	where := cfg.URL
	if cfg.InProcess != nil {
		where = "the embedded server"
	}
	return fmt.Errorf("connect to NATS at %s as %s: %w (check the address, that the server runs and lets this user in, and the credentials and certificates)", where, cfg.Name, err)
}

// JetStream is the broker's own interface, for what this package does not do.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Closed is closed when the connection has ended for good: the process has to
// end too.
func (b *Bus) Closed() <-chan struct{} { return b.closed }

// Close sends what is under way and closes the connection. It returns when that
// is done, and closes at once when the context ends.
func (b *Bus) Close(ctx context.Context) error {
	err := b.conn.Drain()
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		b.conn.Close() // not connected just now: nothing can be sent
	}
	select {
	case <-b.closed:
		return nil
	case <-ctx.Done():
		b.conn.Close()
		<-b.closed
		return fmt.Errorf("drain the connection to NATS: %w", context.Cause(ctx))
	}
}

// attempts follows the first connection.
type attempts struct {
	mu        sync.Mutex
	once      sync.Once
	connected chan struct{}
	err       error
}

func (a *attempts) succeeded() { a.once.Do(func() { close(a.connected) }) }

func (a *attempts) failed(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *attempts) last() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
