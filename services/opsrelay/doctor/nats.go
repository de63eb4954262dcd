// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// provision is the way to missing streams and consumers.
const provision = "opsrelay provision --nats-url ..., or apply the provisioning Job again"

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
	if !lost[events.Stream] {
		found = append(found, p.belongs(ctx))
	}
	for _, consumer := range events.Consumers() {
		if !lost[consumer.Stream] {
			found = append(found, p.consumer(ctx, consumer))
		}
	}
	if !lost[events.Stream] {
		found = append(found, p.room(ctx), p.writes(ctx))
	}
	if !lost[events.DeadLetterStream] {
		found = append(found, p.deadLetters(ctx))
	}
	return found
}

// belongs looks to which cluster the streams are recorded to belong.
func (p Patient) belongs(ctx context.Context) Finding {
	const check = "cluster of the streams"
	owner, err := bus.StreamCluster(ctx, p.JetStream, events.Stream)
	if err != nil {
		return unknown(check, err)
	}
	if owner == "" {
		return warning(check, "not recorded: a second cluster on this broker would not be noticed",
			"opsrelay provision --cluster-uid $(kubectl get namespace kube-system -o jsonpath='{.metadata.uid}')")
	}
	if p.Clients.Core == nil {
		return ok(check, "that whose namespace kube-system has uid "+owner)
	}
	own, err := runtime.ClusterUID(ctx, p.Clients.Core)
	switch {
	case err != nil:
		return Finding{Check: check, Verdict: Unknown, Found: "that whose namespace kube-system has uid " + owner + "; " + err.Error(), Next: "look with an account that may"}
	case own != owner:
		return broken(check, "that whose namespace kube-system has uid "+owner+", and this one's has "+own+": no service of this cluster takes work from it",
			"check --nats-url and the kubeconfig; two clusters cannot share streams: give each a NATS account or a broker of its own")
	default:
		return ok(check, "this one, whose namespace kube-system has uid "+owner)
	}
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
	// The stream of the chains is looked at with all that bounds it.
	usage := bus.Usage{Of: "it", Unit: "bytes", Used: info.State.Bytes, Limit: uint64(max(have.MaxBytes, 0))}
	if want.Name != events.Stream && usage.Limit > 0 && usage.NearlyFull() {
		return warning(check, usage.String()+"; when it is full, the oldest are forgotten", "raise its limit: opsrelay provision --max-bytes")
	}
	return ok(check, fmt.Sprintf("messages: %d, replicas: %d", info.State.Msgs, have.Replicas))
}

// room looks at everything that bounds the stream of the chains.
func (p Patient) room(ctx context.Context) Finding {
	const check = "room"
	usages, err := bus.Usages(ctx, p.JetStream)
	if err != nil {
		return unknown(check, err)
	}
	words := make([]string, len(usages))
	for i, usage := range usages {
		if words[i] = usage.String(); usage.NearlyFull() {
			return broken(check, usage.String()+"; no request begins, those under way can end", bus.MakeRoom)
		}
	}
	return ok(check, strings.Join(words, "; "))
}

// writes tries whether the broker stores a message: that its connection stands, and
// that what it has stored can be read, does not tell. The message is of no chain.
func (p Patient) writes(ctx context.Context) Finding {
	const check = "writes"
	switch err := bus.Try(ctx, p.JetStream, probeName); {
	case errors.Is(err, bus.ErrMute):
		return broken(check, err.Error(), "look at the NATS server's log and disk; a server whose disk was full has to be restarted once there is room")
	case err != nil:
		return broken(check, err.Error(), bus.MakeRoom)
	default:
		return ok(check, "a message was stored")
	}
}

// probeName is under which name doctor tries: that of the user for people's
// commands.
const probeName = "operator"

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
