// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/doctor"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// A broker that serves another cluster already: provisioning leaves it, no service
// begins there, and each says why and what to do.
func TestC07_TheBrokerOfAnotherCluster(t *testing.T) {
	b := setup(t)
	const there = "1c9a8f6e-0000-4000-8000-000000000002"
	here, err := runtime.ClusterUID(b.ctx, b.core)
	require.NoError(t, err)
	srv := bustest.Start(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT})
	conn := bustest.ConnectTo(t, srv, "there")
	require.NoError(t, bus.Provision(b.ctx, conn.JetStream(), 1, bus.WithCluster(there)))
	foreign, err := conn.Chain("watcher").Begin(b.ctx, events.First(events.Requested, "singlestore", events.Operation{
		Request:     events.Reference{Kind: kubedb.KindSinglestoreOpsRequest, Namespace: b.namespace, Name: "grow", UID: "foreign"},
		Database:    events.Reference{Kind: kubedb.KindSinglestore, Namespace: b.namespace, Name: "sdb", UID: "foreign"},
		Mode:        events.Online,
		StepTimeout: events.SecondsOf(time.Hour),
	}))
	require.NoError(t, err)

	text, err := b.run(b.ctx, "provision", "--nats-url", srv.ClientURL(), "--kubeconfig", b.stack.Cluster.Kubeconfig)
	require.ErrorContains(t, err, "belongs to the cluster whose namespace kube-system has uid "+there+", and this one's has "+here, text)
	require.ErrorContains(t, err, "give this one a NATS account or a broker of its own")
	for _, service := range stack.Relay {
		address := freeAddress(t)
		cmd := exec.CommandContext(t.Context(), binary, service, "--http-address", address,
			"--kubeconfig", b.stack.Cluster.Kubeconfig, "--as", "system:serviceaccount:opsrelay:"+service)
		cmd.Env = append(cmd.Environ(), "OPSRELAY_NATS_URL="+srv.ClientURL())
		require.NoError(t, cmd.Start())
		b.unready(address, "belongs to the cluster whose namespace kube-system has uid "+there)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait())
	}
	last, err := conn.Chain("test").Last(b.ctx, foreign.ChainKey())
	require.NoError(t, err)
	require.Equal(t, events.Requested, last.Fact, "nobody here has answered")
	require.Equal(t, foreign.Sequence, last.Sequence)

	findings := b.diagnosis("--nats-url", srv.ClientURL())
	for _, f := range findings {
		if f.Check == "cluster of the streams" {
			require.Equal(t, doctor.Broken, f.Verdict)
			require.Contains(t, f.Found, there)
			require.Contains(t, f.Found, here)
			return
		}
	}
	require.Fail(t, "the doctor does not say whose the streams are", "%v", findings)
}

// unready waits until the service says that it is not ready, for that reason.
func (b *bundle) unready(address, reason string) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var last string
	require.Eventually(b, func() bool {
		response, err := client.Get("http://" + address + "/readyz")
		if err != nil {
			last = err.Error()
			return false
		}
		defer func() { _ = response.Body.Close() }() // it was read
		body, err := io.ReadAll(response.Body)
		last = response.Status + ": " + string(body)
		return err == nil && response.StatusCode == http.StatusServiceUnavailable && strings.Contains(last, reason)
	}, patience, 50*time.Millisecond, "%s is not unready for %q: %v", address, reason, &last)
}

// Every fact says of which cluster it is.
func TestC07_FactsSayTheirCluster(t *testing.T) {
	b := setup(t)
	here, err := runtime.ClusterUID(b.ctx, b.core)
	require.NoError(t, err)
	b.createDatabase(fixture.Standalone("one", fixture.ClassOnline))
	request := b.create(fixture.Expansion("grow", "one", fixture.Sizes{Node: "2Gi"}))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("grow").Status.Phase)
	conn, err := b.stack.Connect(b.ctx, "test")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(b.ctx)) }()
	key := events.ChainKey{Kind: "singlestore", Namespace: b.namespace, UID: string(request.UID)}
	stream, err := conn.JetStream().Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	for _, fact := range []events.Fact{events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed} {
		message, err := stream.GetLastMsgForSubject(b.ctx, key.Subject(fact))
		require.NoError(t, err)
		require.Equal(t, here, message.Header.Get(events.HeaderCluster), fact)
	}
}
