// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/events"
)

// SubscriberPrefix is what a subscriber says in the place of $JS.API, for its
// own account has no JetStream: jetstream.NewWithAPIPrefix in Go,
// --js-api-prefix for the nats command.
const SubscriberPrefix = "OPSRELAY.API"

// SubscriberConsumers are the durable consumers of a third party, under its own
// name: one on the facts, one on the progress.
func SubscriberConsumers(name string) []events.Consumer {
	return []events.Consumer{
		{Name: name, Stream: events.Stream, Subjects: []string{events.AllFacts}, Description: "facts, for subscriber " + name},
		{Name: name, Stream: events.ProgressStream, Subjects: []string{events.AllProgress}, Description: "progress, for subscriber " + name},
	}
}

// answerTimeout is how long the server has to create a subscriber's consumers.
const answerTimeout = 5 * time.Second

// ProvisionSubscriber creates the consumers of a third party, or brings them up
// to date. It takes the provisioner's rights, and the streams.
func ProvisionSubscriber(ctx context.Context, js jetstream.JetStream, name string) error {
	if err := CheckSubscriber(name); err != nil {
		return err
	}
	// What is refused is not answered: that is not waited for as long as the
	// caller may wait for a server.
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for _, consumer := range SubscriberConsumers(name) {
		if _, err := js.CreateOrUpdateConsumer(ctx, consumer.Stream, consumer.Config()); err != nil {
			return fmt.Errorf("create consumer %s of stream %s (is the subscriber in the server's configuration, and are the streams provisioned?): %w", name, consumer.Stream, err)
		}
	}
	return nil
}

// dnsLabel is what a Secret, an account and a consumer may all be called.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// CheckSubscriber reports whether a third party may be called so: its name is
// that of its Secret, its account and its consumers, and must be nobody else's.
func CheckSubscriber(name string) error {
	if !dnsLabel.MatchString(name) {
		return fmt.Errorf("subscriber %q: at most 40 lower-case letters, digits and dashes, a letter or digit first and last", name)
	}
	taken := []string{systemUser, ServerName}
	for _, user := range Users() {
		taken = append(taken, user.Name)
	}
	for _, consumer := range events.Consumers() {
		taken = append(taken, consumer.Name)
	}
	if slices.Contains(taken, name) {
		return fmt.Errorf("subscriber %q: the relay itself uses that name", name)
	}
	return nil
}

// subscriberAccount is the name of a third party's own account.
func subscriberAccount(name string) string { return "OPSRELAY_SUBSCRIBER_" + name }

// subscriberRights are a third party's within its account; what they lead to in
// the relay's is what is imported.
func subscriberRights(name string) Rights {
	var publish []string
	for _, consumer := range SubscriberConsumers(name) {
		publish = append(publish, consume(SubscriberPrefix+".", consumer.Stream, consumer.Name)...)
	}
	return Rights{Publish: publish, Subscribe: []string{inbox(name)}}
}

// service is a subject of the relay's account that a third party's may use.
type service struct {
	// subject is the relay's, as what the third party calls it.
	subject, as string
	// stream says that one request may have many answers.
	stream bool
}

func subscriberServices(name string) []service {
	var services []service
	for _, consumer := range SubscriberConsumers(name) {
		theirs := consume(SubscriberPrefix+".", consumer.Stream, consumer.Name)
		for i, subject := range consume(api, consumer.Stream, consumer.Name) {
			services = append(services, service{subject: subject, as: theirs[i], stream: i == 1})
		}
	}
	return services
}
