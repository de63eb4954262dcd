// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/events"
)

// The streams of one broker, or of one of its accounts, belong to one Kubernetes
// cluster. On those of another cluster a service would answer facts about objects
// that it cannot see, as if they were gone. So provisioning records whose they are,
// a service asks before it begins, and a fact of another cluster that comes all the
// same is left to that one's own services.

// MetadataCluster is the key in the metadata of the streams and consumers under
// which their cluster is recorded: the uid of its namespace kube-system. It is
// absent where whoever provisioned them did not know it.
const MetadataCluster = "opsrelay.dev/cluster"

// ErrForeignCluster says that streams or consumers belong to another cluster. Every
// such error is a [*ForeignCluster].
var ErrForeignCluster = errors.New("they belong to another cluster")

// ForeignCluster is [ErrForeignCluster] with who is who.
type ForeignCluster struct {
	// What belongs to Owner, and Own is the cluster that asked: both by the uid of
	// their namespace kube-system.
	What, Owner, Own string
}

// Error says what to do.
func (f *ForeignCluster) Error() string {
	return fmt.Sprintf("%s belongs to the cluster whose namespace kube-system has uid %s, and this one's has %s: "+
		"two clusters cannot share streams; give this one a NATS account or a broker of its own, or, if that cluster is gone for good, "+
		"remove its streams (nats stream rm; with opsrelay up, its --data-dir) and provision again", f.What, f.Owner, f.Own)
}

// Unwrap makes it an [ErrForeignCluster].
func (f *ForeignCluster) Unwrap() error { return ErrForeignCluster }

// checkCluster compares a record with the cluster that asks. Where one of the two
// is not known, nothing is wrong.
func checkCluster(what string, metadata map[string]string, own string) error {
	if owner := metadata[MetadataCluster]; owner != "" && own != "" && owner != own {
		return &ForeignCluster{What: what, Owner: owner, Own: own}
	}
	return nil
}

// JoinCluster says for which cluster this process works, and returns when the
// consumer, which it is about to pull from, is that cluster's or nobody's. From then
// on facts are published with the cluster, and those of another are refused. It
// waits as long as it takes, or until the context ends; waiting is told why, each
// time that it is asked again. It is to be called before anything is published or
// run.
func (b *Bus) JoinCluster(ctx context.Context, cluster string, consumer events.Consumer, waiting func(error)) error {
	b.cluster = cluster
	for attempt := 1; ; attempt++ {
		_, err := b.consumer(ctx, consumer)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		waiting(err)
		b.tellUnbound(ctx, attempt, err)
		if err := pause(ctx, bindDelay(attempt)); err != nil {
			return err
		}
	}
}

// consumer finds a consumer that is there, and belongs to this cluster.
func (b *Bus) consumer(ctx context.Context, of events.Consumer) (jetstream.Consumer, error) {
	began := time.Now()
	consumer, err := b.js.Consumer(ctx, of.Stream, of.Name)
	switch {
	case err == nil:
		b.clock.set(consumer.CachedInfo().TimeStamp, began)
		return consumer, checkCluster("consumer "+of.Name+" of stream "+of.Stream, consumer.CachedInfo().Config.Metadata, b.cluster)
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("not provisioned yet (opsrelay provision does it): %w", err)
	default:
		return nil, err
	}
}

// tellUnbound logs why a consumer is not pulled from yet. What only a person can
// mend is an error.
func (b *Bus) tellUnbound(ctx context.Context, attempt int, err error) {
	level := zerolog.WarnLevel
	if errors.Is(err, ErrForeignCluster) {
		level = zerolog.ErrorLevel
	}
	zerolog.Ctx(ctx).WithLevel(level).Int("attempt", attempt).Err(err).Msg("cannot bind to the consumer, trying again")
}

// bindDelay is the pause after the given attempt to bind to a consumer.
func bindDelay(attempt int) time.Duration { return min(retryDelay(attempt), 5*time.Second) }

// isForeign reports whether the event is of another cluster.
func (b *Bus) isForeign(e events.Event) bool {
	return e.Cluster != "" && b.cluster != "" && e.Cluster != b.cluster
}

// foreignDelays are the pauses before a fact of another cluster is delivered again.
// The broker gives it to anybody who asks, so most likely its own cluster's service
// is next. Should there be none, the broker gives up on it after
// [jetstream.ConsumerConfig.MaxDeliver] deliveries, a quarter of an hour later.
var foreignDelays = delays(time.Second, 2*time.Second, 5*time.Second, 10*time.Second, 30*time.Second, time.Minute)

// refuse leaves a fact of another cluster to that cluster's own services: nothing
// is done, and it is delivered again. To acknowledge it would lose it for them, to
// terminate it would make it a dead letter, which fails the request.
func (r *Runner) refuse(ctx context.Context, msg jetstream.Msg, e events.Event) outcome {
	if _, told := r.bus.foreign.LoadOrStore(e.Cluster, struct{}{}); !told {
		foreign := &ForeignCluster{What: "fact " + e.ID(), Owner: e.Cluster, Own: r.bus.cluster}
		zerolog.Ctx(ctx).Error().Err(foreign).Msg("facts of another cluster come to this one: each is refused and left to its own")
	}
	delivery := uint64(1)
	if meta, err := msg.Metadata(); err == nil {
		delivery = meta.NumDelivered
	}
	if err := msg.NakWithDelay(bent(foreignDelays, int(min(delivery, 1<<10)))); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("cannot give back a fact of another cluster, it will come again")
	}
	return outcomeForeign
}
