// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams.
const (
	// Stream holds the chains.
	Stream = "OPSRELAY"
	// ProgressStream holds the newest progress of each volume.
	ProgressStream = "OPSRELAY_PROGRESS"
	// DeadLetterStream holds the broker's own notices of messages that it gave
	// up on: pointers into Stream.
	DeadLetterStream = "OPSRELAY_DEAD_LETTERS"
)

// Retention is how long a chain can be replayed. It is far above the longest
// outage that is to be survived: an older event is gone even if nobody has seen
// it.
const Retention = 30 * 24 * time.Hour

// DefaultMaxBytes is how large [Stream] may become unless it is said otherwise, in
// bytes. All streams together may become some half larger: [TotalBytes].
const DefaultMaxBytes int64 = 1 << 30

// NearlyFull is the share of what bounds [Stream] above which no new chain begins:
// the rest is for the chains under way, which must be able to end.
const NearlyFull = 0.8

// maxPerSubject bounds what one subject of [Stream] keeps. A fact of a chain is
// stored once; it is the probes that would become more and more.
const maxPerSubject = 16

// Streams returns the configuration of every stream, for a broker that keeps
// the given number of replicas (3 in production, 1 on a single server).
func Streams(replicas int) []jetstream.StreamConfig { return SizedStreams(replicas, DefaultMaxBytes) }

// TotalBytes is how much all streams together may take on each server that keeps a
// copy, if [Stream] may become as large as maxBytes.
func TotalBytes(maxBytes int64) int64 {
	total := int64(0)
	for _, config := range SizedStreams(1, maxBytes) {
		total += config.MaxBytes
	}
	return total
}

// SizedStreams is [Streams] for a broker with less or more storage than most:
// [Stream] may become as large as maxBytes, the others in proportion.
//
// None is compressed: nats-server 2.15.2, restarted or killed, was seen unable to
// write to a compressed stream ("Critical write error: s2: unsupported input").
// Its copy of the stream then stands still, and with a second server away nobody
// can publish.
func SizedStreams(replicas int, maxBytes int64) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name:        Stream,
			Description: "Opsrelay: one chain of facts for each operation request",
			Subjects:    []string{factPrefix + ">", probePrefix + "*"},
			Retention:   jetstream.LimitsPolicy,
			Storage:     jetstream.FileStorage,
			Replicas:    replicas,
			// An unfinished request must never be forgotten to make room: a full
			// stream refuses, and the publisher says so.
			Discard:    jetstream.DiscardNew,
			MaxAge:     Retention,
			MaxBytes:   maxBytes,
			MaxMsgSize: 1 << 20,
			// It discards the oldest of a subject, also of a full stream.
			MaxMsgsPerSubject: maxPerSubject,
			Duplicates:        time.Hour,
			DenyDelete:        true,
			// A direct read may be answered by a stale replica.
			AllowDirect: false,
			// Plain subscribers listen here: a plain subscription to the stream's
			// own subjects would hide from publishers that no leader answers.
			RePublish: &jetstream.RePublish{Source: factPrefix + ">", Destination: livePrefix + ">"},
		},
		{
			Name:              ProgressStream,
			Description:       "Opsrelay: the newest progress of each volume",
			Subjects:          []string{progressPrefix + ">"},
			Retention:         jetstream.LimitsPolicy,
			Storage:           jetstream.FileStorage,
			Replicas:          replicas,
			Discard:           jetstream.DiscardOld,
			MaxAge:            24 * time.Hour,
			MaxBytes:          maxBytes / 4,
			MaxMsgsPerSubject: 1,
			AllowDirect:       true,
		},
		{
			Name:        DeadLetterStream,
			Description: "Opsrelay: messages that the broker gave up on",
			Subjects: []string{
				"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + Stream + ".>",
				"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED." + Stream + ".>",
			},
			Retention: jetstream.LimitsPolicy,
			Storage:   jetstream.FileStorage,
			Replicas:  replicas,
			Discard:   jetstream.DiscardOld,
			MaxAge:    Retention,
			MaxBytes:  maxBytes / 16,
		},
	}
}

// AckWait is how soon the work of a worker that died is given to another. A
// worker that lives says so every third of it.
const AckWait = 30 * time.Second

// Consumer is a durable consumer: what one service listens to.
type Consumer struct {
	// Name is the consumer's durable name, and its service's.
	Name string
	// Stream is what it consumes.
	Stream string
	// Subjects are the filters.
	Subjects []string
	// Description is for people.
	Description string
	// waits says that a message is sent back until its time has come: one delivery
	// more for each, and as many that wait as there are.
	waits bool
}

// The consumers of the services. A service only binds to its own; provisioning
// creates them all.
var (
	WatcherConsumer  = Consumer{Name: "watcher", Stream: Stream, Subjects: []string{factPrefix + ">"}, Description: "folds every fact into the request's status"}
	PauserConsumer   = Consumer{Name: "pauser", Stream: Stream, Subjects: factFilters(Requested, Updated, Failed, Cancelled), Description: "pauses and resumes the database"}
	ExpanderConsumer = Consumer{Name: "expander", Stream: Stream, Subjects: factFilters(Paused), Description: "grows the volumes"}
	UpdaterConsumer  = Consumer{Name: "updater", Stream: Stream, Subjects: factFilters(Expanded), Description: "writes the new sizes into workload and database"}
	// TimeoutConsumer and DeadLetterConsumer are the watcher's too: what nobody
	// answered in time, and what the broker gave up on. The former is given every
	// fact that waits for an answer, sends it back until its deadline, and is given
	// it again then: that delay is the timer of the chain. There is nothing else
	// to a timer that anybody could remove, replace or forget.
	TimeoutConsumer    = Consumer{Name: "timeout", Stream: Stream, Subjects: factFilters(Requested, Paused, Expanded, Updated, Failed, Cancelled), Description: "fails steps that are overdue", waits: true}
	DeadLetterConsumer = Consumer{Name: "deadletter", Stream: DeadLetterStream, Subjects: []string{"$JS.EVENT.ADVISORY.CONSUMER.>"}, Description: "fails steps that the broker gave up on"}
)

// Consumers lists every consumer.
func Consumers() []Consumer {
	return []Consumer{WatcherConsumer, PauserConsumer, ExpanderConsumer, UpdaterConsumer, TimeoutConsumer, DeadLetterConsumer}
}

// Config is the consumer's configuration. There is no BackOff: it would bend
// the delay of a negative acknowledgement. Deliveries count crashes and
// hand-overs, not retries or waits, which stay in the worker: twenty of them
// are a message that kills its workers.
func (c Consumer) Config() jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{
		Durable:       c.Name,
		Description:   "Opsrelay: " + c.Description,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       AckWait,
		MaxDeliver:    20,
		// Waiting for a disk is cheap, so thousands may be under way at once.
		MaxAckPending: 20000,
		// Immutable, so far above any number of replicas: each has one pull waiting.
		MaxWaiting: 512,
	}
	if c.waits {
		config.MaxDeliver, config.MaxAckPending = -1, -1
	}
	// A single filter is part of the subject under which a consumer is created,
	// so a right can name it.
	if len(c.Subjects) == 1 {
		config.FilterSubject = c.Subjects[0]
	} else {
		config.FilterSubjects = c.Subjects
	}
	return config
}

func factFilters(facts ...Fact) []string {
	filters := make([]string, len(facts))
	for i, fact := range facts {
		filters[i] = FactFilter(fact)
	}
	return filters
}
