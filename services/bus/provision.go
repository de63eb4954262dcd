// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
)

// leastLevel is the API level of the oldest server that the relay is meant for, 2.12.
const leastLevel = 2

// errCodeImmutable and errCodeConsumerConfig are the broker's codes for a stream
// or consumer that is there and differs in a way that cannot be changed.
const (
	errCodeImmutable      jetstream.ErrorCode = 10052
	errCodeConsumerConfig jetstream.ErrorCode = jetstream.JSErrCodeConsumerCreate
)

// Provisioning is what may differ from one installation to the next.
type Provisioning struct {
	// Replicas is how many servers keep a copy of each stream.
	Replicas int
	// MaxBytes is how large the stream of the chains may become, in bytes; the others
	// follow in proportion. If not set, [events.DefaultMaxBytes].
	MaxBytes int64
	// Cluster is the cluster that streams and consumers are recorded to belong to:
	// see [MetadataCluster]. Those of another cluster are left as they are, with
	// [ErrForeignCluster]. Empty leaves the record as it is.
	Cluster string
}

// ProvisionOption changes what is provisioned.
type ProvisionOption func(*Provisioning)

// WithMaxBytes sets [Provisioning.MaxBytes].
func WithMaxBytes(maxBytes int64) ProvisionOption {
	return func(p *Provisioning) { p.MaxBytes = maxBytes }
}

// WithCluster sets [Provisioning.Cluster].
func WithCluster(cluster string) ProvisionOption {
	return func(p *Provisioning) { p.Cluster = cluster }
}

// Provision creates every stream and consumer of the contract, or brings them up
// to date. It may be run any number of times, by several processes at once, and
// waits for a broker that is still coming up until the context ends. A broker with
// too little storage is a [*Small].
func Provision(ctx context.Context, js jetstream.JetStream, replicas int, options ...ProvisionOption) error {
	p := Provisioning{Replicas: replicas, MaxBytes: events.DefaultMaxBytes}
	for _, option := range options {
		option(&p)
	}
	for attempt := 1; ; attempt++ {
		err := p.provision(ctx, js)
		if err == nil || !comingUp(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(retryDelay(attempt)):
		case <-ctx.Done():
			return err
		}
	}
}

func (p Provisioning) provision(ctx context.Context, js jetstream.JetStream) error {
	account, err := checkServer(ctx, js)
	if err != nil {
		return err
	}
	metadata, err := record(ctx, js, p.Cluster)
	if err != nil {
		return err
	}
	for _, config := range events.SizedStreams(p.Replicas, p.MaxBytes) {
		config.Metadata = metadata
		if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
			err = tooSmall(err, config, p.MaxBytes, account)
			return refusedConfig("stream "+config.Name, "nats stream rm "+config.Name, err)
		}
	}
	for _, consumer := range events.Consumers() {
		config := consumer.Config()
		config.Metadata = metadata
		if _, err := js.CreateOrUpdateConsumer(ctx, consumer.Stream, config); err != nil {
			return refusedConfig("consumer "+consumer.Name+" of stream "+consumer.Stream,
				"nats consumer rm "+consumer.Stream+" "+consumer.Name, err)
		}
	}
	return nil
}

// record is the metadata that says whose streams and consumers are: the cluster's,
// or, where it is not known, whose they were before.
func record(ctx context.Context, js jetstream.JetStream, cluster string) (map[string]string, error) {
	for _, config := range events.Streams(1) {
		owner, err := StreamCluster(ctx, js, config.Name)
		if err != nil {
			return nil, fmt.Errorf("provision stream %s: %w", config.Name, err)
		}
		if err := checkCluster("stream "+config.Name, map[string]string{MetadataCluster: owner}, cluster); err != nil {
			return nil, fmt.Errorf("provision: %w", err)
		}
		cluster = cmp.Or(cluster, owner)
	}
	if cluster == "" {
		return nil, nil
	}
	return map[string]string{MetadataCluster: cluster}, nil
}

// StreamCluster is the cluster that a stream is recorded to belong to; empty where
// that is not recorded, or there is no such stream.
func StreamCluster(ctx context.Context, js jetstream.JetStream, stream string) (string, error) {
	found, err := js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return found.CachedInfo().Config.Metadata[MetadataCluster], nil
}

// checkServer refuses a server that cannot do what the relay needs, and returns
// what the account may use.
func checkServer(ctx context.Context, js jetstream.JetStream) (*jetstream.AccountInfo, error) {
	account, err := js.AccountInfo(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return nil, fmt.Errorf("provision: this NATS server or account has no JetStream; enable it in the server's configuration: %w", err)
	case err != nil:
		return nil, fmt.Errorf("provision: ask for the account: %w", err)
	case account.API.Level < leastLevel:
		return nil, fmt.Errorf("provision: NATS server %s has JetStream API level %d; Opsrelay needs 2.12 or newer (level %d)",
			js.Conn().ConnectedServerVersion(), account.API.Level, leastLevel)
	default:
		return account, nil
	}
}

// refusedConfig says how to get out of a difference that cannot be changed in
// place.
func refusedConfig(what, remove string, err error) error {
	var apiErr *jetstream.APIError
	if errors.As(err, &apiErr) && (apiErr.ErrorCode == errCodeImmutable || apiErr.ErrorCode == errCodeConsumerConfig) {
		return fmt.Errorf("provision %s: it is there and differs in a way that the broker cannot change; "+
			"stop the services, remove it (%s) and provision again, requests under way are re-driven: %w", what, remove, err)
	}
	return fmt.Errorf("provision %s: %w", what, err)
}

// comingUp reports whether another try may succeed: a cluster without a leader
// yet, an answer that did not come.
func comingUp(err error) bool {
	var apiErr *jetstream.APIError
	if small := new(Small); errors.As(err, &small) {
		return false
	}
	if errors.As(err, &apiErr) {
		return apiErr.Code == 503
	}
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrDisconnected)
}
