// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
)

// provision is the way to missing streams and consumers.
const provision = "opsrelay provision --nats-url ..., or apply the provisioning Job again"

// nearlyFull is the share of a stream's limit from which on it is said.
const nearlyFull = 0.8

// broker looks at NATS: the server, then each stream, then each consumer.
func (p Patient) broker(ctx context.Context) []Finding {
	if p.JetStream == nil {
		return []Finding{broken("nats", fmt.Sprint(p.Unreachable), "check --nats-url, the server, and this user's key and certificate")}
	}
	conn := p.JetStream.Conn()
	found := []Finding{ok("nats", "server "+conn.ConnectedServerVersion()+" at "+conn.ConnectedUrlRedacted())}
	lost := map[string]bool{}
	for _, config := range events.Streams(1) {
		f := p.stream(ctx, config)
		lost[config.Name] = f.Verdict == Broken
		found = append(found, f)
	}
	for _, consumer := range events.Consumers() {
		if !lost[consumer.Stream] {
			found = append(found, p.consumer(ctx, consumer))
		}
	}
	if !lost[events.DeadLetterStream] {
		found = append(found, p.deadLetters(ctx))
	}
	return found
}

func (p Patient) stream(ctx context.Context, want jetstream.StreamConfig) Finding {
	check := "stream " + want.Name
	stream, err := p.JetStream.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return broken(check, "there is none", provision)
	case err != nil:
		return unknown(check, err)
	}
	info := stream.CachedInfo()
	have := info.Config
	if fmt.Sprint(have.Subjects) != fmt.Sprint(want.Subjects) || have.Retention != want.Retention || have.Discard != want.Discard ||
		have.MaxAge != want.MaxAge || have.AllowMsgSchedules != want.AllowMsgSchedules || (have.RePublish == nil) != (want.RePublish == nil) {
		return broken(check, "its configuration is not this version's", provision)
	}
	if limit := have.MaxBytes; limit > 0 && float64(info.State.Bytes) > nearlyFull*float64(limit) {
		return warning(check, fmt.Sprintf("%d of %d bytes are used; when it is full, no request can begin", info.State.Bytes, limit),
			"raise the limit, or purge old requests: nats stream purge "+want.Name+" --keep=10000")
	}
	return ok(check, fmt.Sprintf("messages: %d, replicas: %d", info.State.Msgs, have.Replicas))
}

func (p Patient) consumer(ctx context.Context, want events.Consumer) Finding {
	check := "consumer " + want.Name
	consumer, err := p.JetStream.Consumer(ctx, want.Stream, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return broken(check, "there is none", provision)
	case err != nil:
		return unknown(check, err)
	}
	info := consumer.CachedInfo()
	waiting := fmt.Sprintf("messages that wait: %d, worked on: %d", info.NumPending, info.NumAckPending)
	switch {
	case info.Paused:
		return warning(check, fmt.Sprintf("paused for another %s; %s", info.PauseRemaining.Round(time.Second), waiting),
			"if that is not wanted: opsrelay resume-phase "+want.Name)
	case info.NumWaiting == 0 && info.NumPending > 0:
		return broken(check, "nobody asks for work; "+waiting, "start the service, or look at its log: kubectl -n opsrelay logs deploy/"+service(want))
	case info.NumWaiting == 0:
		return warning(check, "nobody asks for work; "+waiting,
			"fine if it is scaled to zero; else start it, or look at its log: kubectl -n opsrelay logs deploy/"+service(want))
	default:
		return ok(check, fmt.Sprintf("replicas that ask for work: %d; %s", info.NumWaiting, waiting))
	}
}

// service is who pulls from the consumer.
func service(consumer events.Consumer) string {
	switch consumer.Name {
	case events.TimeoutConsumer.Name, events.DeadLetterConsumer.Name:
		return events.WatcherConsumer.Name
	default:
		return consumer.Name
	}
}

func (p Patient) deadLetters(ctx context.Context) Finding {
	const check = "dead letters"
	stream, err := p.JetStream.Stream(ctx, events.DeadLetterStream)
	if err != nil {
		return unknown(check, err)
	}
	if n := stream.CachedInfo().State.Msgs; n > 0 {
		return warning(check, fmt.Sprintf("messages that the broker gave up on: %d", n), "opsrelay dead-letters list")
	}
	return ok(check, "none")
}
