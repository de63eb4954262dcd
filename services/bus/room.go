// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsrelay/opsrelay/events"
)

// Usage is how much is used of something that bounds the stream of the chains.
type Usage struct {
	// Of is what is used: "stream OPSRELAY", "the account's storage".
	Of string
	// Unit is what is counted: "bytes", "messages".
	Unit string
	// Used and Limit are the counts. A limit is more than 0.
	Used, Limit uint64
}

// NearlyFull reports whether what is left is for the chains under way.
func (u Usage) NearlyFull() bool { return float64(u.Used) >= events.NearlyFull*float64(u.Limit) }

// String says how full it is.
func (u Usage) String() string {
	return fmt.Sprintf("%s: %d of %d %s are used (%.0f %%)", u.Of, u.Used, u.Limit, u.Unit, 100*float64(u.Used)/float64(u.Limit))
}

// Usages reads everything that bounds the stream of the chains and has a limit:
// the stream's own bytes and messages, and the account's storage. What the server
// itself, or its disk, has left, only the server knows: it shows when a write is
// refused. It needs the rights to ask for the stream and the account.
func Usages(ctx context.Context, js jetstream.JetStream) ([]Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, events.Stream)
	if err != nil {
		return nil, fmt.Errorf("ask for stream %s: %w", events.Stream, err)
	}
	account, err := js.AccountInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the account: %w", err)
	}
	info := stream.CachedInfo()
	name := "stream " + events.Stream
	usages := limited(nil, name, "bytes", info.State.Bytes, info.Config.MaxBytes)
	usages = limited(usages, name, "messages", info.State.Msgs, info.Config.MaxMsgs)
	usages = limited(usages, "the account's storage", "bytes", account.Store, account.Limits.MaxStore)
	tier := fmt.Sprintf("R%d", max(info.Config.Replicas, 1))
	if limits, ok := account.Tiers[tier]; ok {
		usages = limited(usages, "the account's storage in tier "+tier, "bytes", limits.Store, limits.Limits.MaxStore)
	}
	return usages, nil
}

func limited(usages []Usage, of, unit string, used uint64, limit int64) []Usage {
	if limit <= 0 {
		return usages
	}
	return append(usages, Usage{Of: of, Unit: unit, Used: used, Limit: uint64(limit)})
}

// The reasons of a [NoRoom].
const (
	// ReasonBrokerFull: what is left is for the chains under way.
	ReasonBrokerFull = "BrokerFull"
	// ReasonBrokerNotWritable: the broker does not store what is published.
	ReasonBrokerNotWritable = "BrokerNotWritable"
)

// NoRoom says why no new chain may begin now.
type NoRoom struct {
	// Reason is one word, for programs; Message says what is full, and what to do.
	Reason, Message string
}

// Error implements error.
func (n *NoRoom) Error() string { return n.Message }

const (
	// readingAge is how old a reading of what is used may be that somebody begins a
	// chain by.
	readingAge = time.Second
	// chainBytes is how much a chain is taken to need until the next reading.
	chainBytes = 64 << 10
)

// room is one reading of what is used, for everybody who asks at about that time.
type room struct {
	mu     sync.Mutex
	at     time.Time
	usages []Usage
	err    error
	// begun counts those who were told since that there is room.
	begun uint64
}

// Room returns nil when a new chain may begin, otherwise a [*NoRoom]. The broker is
// asked once a second at most, however many ask, and oftener only when so many
// began since that it matters. Where what is used cannot be read, there is room as
// long as writes succeed.
func (c *Chain) Room(ctx context.Context) error {
	if err := c.bus.Writable(); err != nil {
		return &NoRoom{Reason: ReasonBrokerNotWritable, Message: err.Error()}
	}
	r := &c.bus.room
	r.mu.Lock()
	defer r.mu.Unlock()
	full := r.full()
	if time.Since(r.at) >= readingAge || full != nil && r.begun > 0 {
		r.read(ctx, c.bus)
		full = r.full()
	}
	if full != nil {
		return &NoRoom{Reason: ReasonBrokerFull, Message: fmt.Sprintf("no request begins while %s; those under way can end; %s", full, MakeRoom)}
	}
	r.begun++
	return nil
}

func (r *room) read(ctx context.Context, b *Bus) {
	r.usages, r.err = Usages(ctx, b.js)
	r.at, r.begun = time.Now(), 0
	if r.err != nil && ctx.Err() == nil {
		b.log.Warn().Err(r.err).Msg("cannot see how full the broker is; chains begin as long as it stores them")
	}
}

// full is what is nearly full, with what was begun since it was read; nil if
// nothing is.
func (r *room) full() *Usage {
	for _, u := range r.usages {
		with := u
		if u.Unit == "bytes" {
			with.Used += r.begun * chainBytes
		}
		if with.NearlyFull() {
			return &u
		}
	}
	return nil
}

// Writable is [Bus.Writable].
func (c *Chain) Writable() error { return c.bus.Writable() }

// OnWritable is [Bus.OnWritable].
func (c *Chain) OnWritable(callback func()) (stop func()) { return c.bus.OnWritable(callback) }

// Probe is [Bus.Probe].
func (c *Chain) Probe(ctx context.Context, age time.Duration) { c.bus.Probe(ctx, age) }

// The metrics of what bounds the stream of the chains.
var (
	descUsed = prometheus.NewDesc("opsrelay_broker_used",
		"How much is used of what bounds the stream of the chains, in the unit.", []string{"of", "unit"}, nil)
	descLimit = prometheus.NewDesc("opsrelay_broker_limit",
		"How much of what bounds the stream of the chains there is, in the unit. No request begins above 80 % of it.", []string{"of", "unit"}, nil)
)

// usageMetrics reads what is used whenever it is asked, and else asks nobody.
type usageMetrics struct{ bus *Bus }

// UsageMetrics measures everything that [Usages] reads.
func (c *Chain) UsageMetrics() prometheus.Collector { return &usageMetrics{c.bus} }

// Describe implements prometheus.Collector.
func (*usageMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- descUsed
	descs <- descLimit
}

// Collect implements prometheus.Collector. What cannot be read has no value.
func (m *usageMetrics) Collect(metrics chan<- prometheus.Metric) {
	r := &m.bus.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) >= readingAge {
		r.read(context.Background(), m.bus)
	}
	if r.err != nil {
		return
	}
	for _, u := range r.usages {
		metrics <- prometheus.MustNewConstMetric(descUsed, prometheus.GaugeValue, float64(u.Used), u.Of, u.Unit)
		metrics <- prometheus.MustNewConstMetric(descLimit, prometheus.GaugeValue, float64(u.Limit), u.Of, u.Unit)
	}
}

// Small says that the broker has too little storage for the streams.
type Small struct {
	// Needed is what all streams may take together on each server, in bytes;
	// Available what the account may still reserve, or -1 where only the server
	// knows.
	Needed, Available int64
	// Err is the broker's refusal.
	Err error
}

// Error implements error.
func (s *Small) Error() string {
	available := "how much it has left it does not tell this user (nats server report jetstream does: max_file_store, by default 75 % of the free disk)"
	if s.Available >= 0 {
		available = fmt.Sprintf("%d bytes are available", s.Available)
	}
	return fmt.Sprintf("the broker is too small for the streams: they need %d bytes on each server, and %s; give it more storage, or make them smaller with --max-bytes: %s",
		s.Needed, available, s.Err)
}

// Unwrap returns Err.
func (s *Small) Unwrap() error { return s.Err }

// The broker's codes for storage that a stream cannot reserve.
const (
	errCodeStorage   jetstream.ErrorCode = 10047
	errCodeResources jetstream.ErrorCode = 10023
	errCodePeers     jetstream.ErrorCode = 10005
)

// tooSmall makes a refusal for want of storage one that says how much is wanted.
// Reserved is what the account had reserved before.
func tooSmall(err error, config jetstream.StreamConfig, maxBytes int64, account *jetstream.AccountInfo) error {
	var apiErr *jetstream.APIError
	if !errors.As(err, &apiErr) {
		return err
	}
	switch apiErr.ErrorCode {
	case errCodeStorage, errCodeResources, errCodePeers:
	default:
		return err
	}
	limits := account.Tier
	if tier, ok := account.Tiers[fmt.Sprintf("R%d", cmp.Or(config.Replicas, 1))]; ok {
		limits = tier
	}
	available := int64(-1)
	if limits.Limits.MaxStore >= 0 {
		available = max(0, limits.Limits.MaxStore-int64(limits.ReservedStore))
	}
	return &Small{Needed: events.TotalBytes(maxBytes), Available: available, Err: err}
}
