// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
)

// small is a size of the stream of the chains that a test can fill.
const small = 2 << 20

// fill stores messages of no chain until the stream is that full.
func (b *bundle) fill(t *testing.T, share float64) {
	t.Helper()
	js := b.bus.JetStream()
	for i, size := 0, 64<<10; size > 0; i++ {
		stream, err := js.Stream(b.ctx, events.Stream)
		require.NoError(t, err)
		info := stream.CachedInfo()
		if float64(info.State.Bytes) >= share*float64(info.Config.MaxBytes) {
			return
		}
		if _, err := js.Publish(b.ctx, events.ProbeSubject(fmt.Sprintf("filler-%d", i)), make([]byte, size)); err != nil {
			size /= 2 // it does not fit any more
		}
	}
}

// empty takes everything out of the stream that is of no chain.
func (b *bundle) empty(t *testing.T) {
	t.Helper()
	stream, err := b.bus.JetStream().Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(b.ctx, jetstream.WithPurgeSubject(events.ProbeSubject("*"))))
}

// A stream that is nearly full takes no new chain, and says what is full and what
// to do; a chain under way can go on.
func TestC18_NoChainBeginsInANearlyFullStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1, bus.WithMaxBytes(small)))
	require.NoError(t, b.chain.Room(b.ctx))
	first := b.begin(t, "u1")
	b.fill(t, events.NearlyFull)

	var noRoom *bus.NoRoom
	require.Eventually(t, func() bool { return errors.As(b.chain.Room(b.ctx), &noRoom) }, patience, tick, "there is room")
	require.Equal(t, bus.ReasonBrokerFull, noRoom.Reason)
	require.Regexp(t, `stream OPSRELAY: \d+ of 2097152 bytes are used \(8\d %\)`, noRoom.Message)
	require.Contains(t, noRoom.Message, "provision --max-bytes")
	require.NoError(t, b.bus.Ready(), "what is under way can be worked on")

	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(b.chain.UsageMetrics())
	require.Equal(t, map[string]float64{"stream OPSRELAY bytes": small}, counters(t, registry, "opsrelay_broker_limit"))
	require.GreaterOrEqual(t, counters(t, registry, "opsrelay_broker_used")["stream OPSRELAY bytes"], events.NearlyFull*small)

	for _, fact := range []events.Fact{events.Paused, events.Expanded, events.Failed, events.Resumed} {
		first = b.follow(t, first, fact)
	}
	b.empty(t)
	require.Eventually(t, func() bool { return b.chain.Room(b.ctx) == nil }, patience, tick, "there is no room")
}

// The account's storage bounds the stream, too.
func TestC18_TheAccountsStorageCounts(t *testing.T) {
	t.Parallel()
	require.True(t, bus.Usage{Used: 8, Limit: 10}.NearlyFull())
	require.False(t, bus.Usage{Used: 79, Limit: 100}.NearlyFull())
	config := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(config, []byte(`
		accounts { RELAY { jetstream: {max_store: 8388608}, users: [{user: u, password: p}] } }
		no_auth_user: u`), 0o600))
	options, err := server.ProcessConfigFile(config)
	require.NoError(t, err)
	options.DontListen = true
	connection := bustest.ConnectTo(t, bustest.Start(t, options), "test")
	b := &bundle{bus: connection, chain: connection.Chain("watcher"), ctx: bustest.Context(t)}

	err = bus.Provision(b.ctx, connection.JetStream(), 1)
	tooSmall := new(bus.Small)
	require.ErrorAs(t, err, &tooSmall)
	require.Equal(t, events.TotalBytes(events.DefaultMaxBytes), tooSmall.Needed)
	require.Equal(t, int64(8<<20), tooSmall.Available)
	require.ErrorContains(t, err, "make them smaller with --max-bytes")

	require.NoError(t, bus.Provision(b.ctx, connection.JetStream(), 1, bus.WithMaxBytes(small)))
	usages, err := bus.Usages(b.ctx, connection.JetStream())
	require.NoError(t, err)
	require.Len(t, usages, 2)
	require.Equal(t, "the account's storage", usages[1].Of)
	require.Equal(t, uint64(8<<20), usages[1].Limit)
}

// A stream that is quite full refuses what chains under way publish: the process is
// not ready, says so, and goes on by itself when there is room.
func TestC18_AFullStreamIsSaidAndGoneOnAfter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, bus.Provision(b.ctx, b.bus.JetStream(), 1, bus.WithMaxBytes(small)))
	first := b.begin(t, "u1")
	b.fill(t, 1)
	changed := make(chan struct{}, 16)
	defer b.bus.OnWritable(func() { changed <- struct{}{} })()
	run(t, b.bus.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: pauser, Source: "pauser"}))

	receive(t, changed)
	var notStored *bus.NotStored
	require.ErrorAs(t, b.bus.Ready(), &notStored)
	require.Equal(t, events.Stream, notStored.Stream)
	require.ErrorContains(t, notStored, "maximum bytes exceeded")
	require.ErrorContains(t, notStored, "provision --max-bytes")
	require.NoError(t, b.bus.Live(), "a restart would not help")
	var noRoom *bus.NoRoom
	require.ErrorAs(t, b.chain.Room(b.ctx), &noRoom)
	require.Equal(t, bus.ReasonBrokerNotWritable, noRoom.Reason)

	b.empty(t)
	receive(t, changed)
	require.NoError(t, b.bus.Ready())
	b.becomes(t, first, events.Paused)
}

// A server whose disk was full answers no publisher any more, though its connection
// stands and there is room again. That is seen, and that it is over, too, by a
// process that has nothing more to publish.
func TestD22_ABrokerWhoseDiskWasFullIsNotReady(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("SKIPPED: a small file system cannot be mounted here (%v): run as root to try a full disk", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, SyncAlways: true}
	broker := bustest.StartIn(t, options, disk)
	connection, err := bus.Connect(bustest.Context(t), bus.Config{Name: "test", URL: broker.ClientURL()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close(bustest.Context(t)) })
	b := &bundle{bus: connection, chain: connection.Chain("watcher"), ctx: bustest.Context(t)}
	require.NoError(t, bus.Provision(b.ctx, connection.JetStream(), 1, bus.WithMaxBytes(small)))
	first := b.begin(t, "u1")

	filler := filepath.Join(disk, "filler")
	fillDisk(t, filler)
	require.Eventually(t, func() bool {
		_, err = b.chain.Begin(b.ctx, requested(fmt.Sprint("u", time.Now().UnixNano())))
		return err != nil
	}, patience, tick)
	require.ErrorContains(t, connection.Ready(), "the broker has not stored anything in stream OPSRELAY since")
	require.ErrorContains(t, connection.Ready(), "is its disk full?")
	require.NoError(t, os.Remove(filler))
	require.Equal(t, first, b.last(t, first), "what is stored can be read")
	require.Error(t, connection.Ready(), "there is room, and nothing is stored")

	options.Port = broker.Addr().(*net.TCPAddr).Port
	broker.Shutdown()
	broker.WaitForShutdown()
	bustest.StartIn(t, options, disk)
	require.Eventually(t, func() bool { return connection.Ready() == nil }, patience, tick, "a probe is not stored")
	b.follow(t, first, events.Paused)
}

// fillDisk writes the file until there is no room.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	for _, size := range []int{1 << 20, 1 << 12, 1} {
		for err = nil; err == nil; _, err = file.Write(make([]byte, size)) {
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
	require.NoError(t, file.Close())
}
