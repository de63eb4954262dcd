// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	waitfor "github.com/testcontainers/testcontainers-go/wait"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

// A third party's container reads every fact of an expansion, in order.
func TestASubscriberReadsEveryFact(t *testing.T) {
	b := setup(t, 1)
	secret, err := b.credentials.secret(userSubscriber)
	require.NoError(t, err)
	b.createDatabases("sdb")
	b.createRequest(expansion("sdb"))
	b.succeeded("sdb")
	chain := b.chain("sdb")

	subscriber, err := b.start(b.ctx, imageNATS, nil, testcontainers.WithEntrypoint("/subscriber"),
		testcontainers.WithCmd(b.broker.url(), userSubscriber, identityDirectory), confined(), b.withFiles(identityDirectory, secret),
		testcontainers.WithWaitStrategy(waitfor.ForLog(chain.Subject(events.Resumed)).WithStartupTimeout(patience)))
	require.NoError(t, err)
	defer func() { require.NoError(t, subscriber.Terminate(b.ctx, testcontainers.StopTimeout(0))) }()
	var want, got []string
	for _, fact := range []events.Fact{events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed} {
		want = append(want, chain.Subject(fact))
	}
	for line := range strings.Lines(b.logOf(b.ctx, subscriber)) {
		if i := strings.Index(line, "opsrelay."); i >= 0 && strings.Contains(line, chain.UID) {
			got = append(got, strings.TrimSpace(line[i:]))
		}
	}
	require.Equal(t, want, got)
}

// chain is the chain of a request.
func (b *bundle) chain(name string) events.ChainKey {
	b.Helper()
	request, err := b.clients.KubeDB.SinglestoreOpsRequests(b.namespace).Get(b.ctx, name, metav1.GetOptions{})
	require.NoError(b, err)
	return events.ChainKey{Kind: "singlestore", Namespace: b.namespace, UID: string(request.UID)}
}

// Whatever else a third party tries is refused.
func TestASubscriberMayDoNothingElse(t *testing.T) {
	b := setup(t, 1)
	chain := events.ChainKey{Kind: "singlestore", Namespace: "demo", UID: "u1"}
	publish := []string{
		"opsrelay.timer.v1." + chain.String(), chain.Live(events.Failed), chain.Progress("data-sdb-leaf-0"),
		"$JS.API.INFO", "$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.MSG.GET." + events.Stream, "$JS.API.STREAM.INFO." + events.Stream,
		"$JS.API.STREAM.DELETE." + events.Stream, "$JS.API.STREAM.PURGE." + events.Stream, "$JS.API.STREAM.UPDATE." + events.Stream,
		"$JS.API.CONSUMER.CREATE." + events.Stream + ".mine", "$JS.API.CONSUMER.DELETE." + events.Stream + ".pauser",
		"$JS.API.CONSUMER.MSG.NEXT." + events.Stream + ".pauser", "$JS.ACK." + events.Stream + ".pauser.1.1.1.1.1",
		natsauth.SubscriberPrefix + ".STREAM.INFO." + events.Stream,
		natsauth.SubscriberPrefix + ".CONSUMER.MSG.NEXT." + events.Stream + ".pauser",
		natsauth.SubscriberPrefix + ".CONSUMER.CREATE." + events.Stream + ".mine",
		"$SYS.REQ.SERVER.PING",
	}
	for _, fact := range []events.Fact{
		events.Requested, events.Rejected, events.Paused, events.Expanded, events.Updated, events.Failed, events.Cancelled, events.Resumed,
	} {
		publish = append(publish, chain.Subject(fact))
	}
	subscribe := []string{">", "opsrelay.>", events.AllFacts, events.AllProgress, events.LiveFilter(events.Failed), "_INBOX.>", "$JS.>", "$SYS.>"}
	for _, service := range stack.Relay {
		subscribe = append(subscribe, "_INBOX_"+service+".>")
	}

	refused := make(chan error, 1)
	conn, err := b.broker.connect(b.ctx, userSubscriber, b.broker.servers["nats-0"],
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	defer conn.Close()
	for _, subject := range publish {
		require.NoError(t, conn.Publish(subject, []byte("{}")))
		b.hears(refused, fmt.Sprintf("Permissions Violation for Publish to %q", subject))
	}
	for _, subject := range subscribe {
		_, err := conn.SubscribeSync(subject)
		require.NoError(t, err) // it is asked for; the answer comes later
		b.hears(refused, fmt.Sprintf("Permissions Violation for Subscription to %q", subject))
	}
}

// hears waits for an error with the words.
func (b *bundle) hears(refused <-chan error, words string) {
	b.Helper()
	select {
	case err := <-refused:
		require.ErrorContains(b, err, words)
	case <-time.After(patience):
		require.Fail(b, "not refused", "waited for: %s", words)
	}
}

// Nobody is let on without a key, nor without a certificate, and each service is
// on as itself.
func TestEveryoneShowsAKeyAndACertificate(t *testing.T) {
	b := setup(t, 1)
	single := b.broker.servers["nats-0"]
	address, err := b.address(b.ctx, single)
	require.NoError(t, err)
	address = "tls://" + address + ":4222"
	secret, err := b.credentials.secret("pauser")
	require.NoError(t, err)
	secure, err := secret.tls(b.broker.name)
	require.NoError(t, err)

	_, err = nats.Connect(address, nats.Secure(secure))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	_, err = b.credentials.connect("pauser", address, b.broker.name,
		nats.Secure(&tls.Config{RootCAs: secure.RootCAs, ServerName: b.broker.name, MinVersion: tls.VersionTLS12}))
	require.Error(t, err) // in which words depends on who is faster to hang up
	conn, err := b.credentials.connect("pauser", address, b.broker.name)
	require.NoError(t, err)
	conn.Close()

	keys, err := b.credentials.keys()
	require.NoError(t, err)
	users, err := b.usersByName(b.ctx)
	require.NoError(t, err)
	for _, service := range stack.Relay {
		require.Equal(t, keys[service], users[service], service)
	}
}
