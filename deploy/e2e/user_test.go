// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/cli"
	"github.com/opsrelay/opsrelay/services/opsrelay/user"
)

// opsrelay runs a command as a person would, with a kubeconfig.
func (b *bundle) opsrelay(args ...string) (string, error) {
	b.Helper()
	return b.run(b.ctx, append(args, "--kubeconfig", b.stack.Cluster.Kubeconfig)...)
}

// withNATS is [bundle.opsrelay] for a command that reads the stream.
func (b *bundle) withNATS(args ...string) (string, error) {
	b.Helper()
	return b.opsrelay(append(args, "--nats-url", b.stack.NATS)...)
}

func (b *bundle) run(ctx context.Context, args ...string) (string, error) {
	b.Helper()
	var out bytes.Buffer
	command := cli.New()
	command.SetArgs(args)
	command.SetOut(&out)
	command.SetErr(&out)
	err := command.ExecuteContext(ctx)
	return out.String(), err
}

// A person asks where a request is, stops it, and reads what happened when it is
// long gone.
func TestCommandsOfOneRequest(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	growing := b.create(fixture.Expansion("grow", "sdb", fixture.Guide))
	b.condition("grow", kubedb.ConditionDatabasePauseSucceeded)
	b.create(fixture.Expansion("later", "sdb", fixture.Sizes{Aggregator: "3Gi"}))
	b.condition("later", kubedb.ConditionWaiting)

	text, err := b.opsrelay("get", "-n", b.namespace)
	require.NoError(t, err)
	b.prints("get", text)
	text, err = b.opsrelay("get", "-n", b.namespace, "-o", "wide", "--no-headers")
	require.NoError(t, err)
	b.prints("get-wide", text)

	text, err = b.opsrelay("get", b.namespace+"/grow", "-o", "json")
	require.NoError(t, err)
	b.valid("get", text)
	var requests []user.Request
	require.NoError(t, json.Unmarshal([]byte(text), &requests))
	require.Len(t, requests, 1)
	require.Equal(t, map[string]string{"aggregator": "2Gi", "leaf": "11Gi"}, requests[0].Sizes)

	_, err = b.opsrelay("retry", b.namespace+"/grow")
	require.ErrorContains(t, err, "only one that ended without success can be repeated")
	text, err = b.opsrelay("cancel", b.namespace+"/grow", "--wait")
	require.NoError(t, err)
	require.Equal(t, "request "+b.namespace+"/grow is cancelled, its database is resumed\n", text)

	b.chainBecomes(growing, events.Resumed)
	text, err = b.withNATS("timeline", b.namespace+"/grow")
	require.NoError(t, err)
	b.prints("timeline", text)
	text, err = b.withNATS("timeline", b.namespace+"/grow", "-o", "json")
	require.NoError(t, err)
	b.valid("timeline", text)
	_, err = b.withNATS("timeline", b.namespace+"/never")
	require.ErrorContains(t, err, "knows nothing of a request "+b.namespace+"/never")

	text, err = b.run(b.ctx, "events", "-n", b.namespace, "--fact", "cancelled", "-o", "json", "--nats-url", b.stack.NATS)
	require.NoError(t, err)
	b.valid("events", text)
	var fact user.Fact
	require.NoError(t, json.Unmarshal([]byte(text), &fact))
	require.Equal(t, "grow", fact.Operation.Request.Name)
	require.Equal(t, "cancelled", fact.Fact)
	text, err = b.run(b.ctx, "events", "--uid", fact.Operation.Request.UID, "--nats-url", b.stack.NATS)
	require.NoError(t, err)
	b.prints("events", text)
	text, err = b.run(b.ctx, "events", "--uid", fact.Operation.Request.UID, "--fact", "paused", "-o", "wide", "--nats-url", b.stack.NATS)
	require.NoError(t, err)
	require.Contains(t, text, fact.Operation.Request.UID+"  ")
	text, err = b.run(b.ctx, "events", "--uid", fact.Operation.Request.UID, "--fact", "paused", "-o", "yaml", "--nats-url", b.stack.NATS)
	require.NoError(t, err)
	var inYAML user.Fact
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &inYAML))
	require.Equal(t, "paused", inYAML.Fact)
	// Its request has nothing before it any more.
	require.Equal(t, kubedb.OpsSuccessful, b.ended("later").Status.Phase)
}

// Into a pipe, watch writes a line for each change, and its exit code says how it
// ended. A failed request can be asked for again.
func TestCommandsWatchAndRetry(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("grow").Status.Phase)
	text, err := b.withNATS("watch", "-n", b.namespace, "--until-done")
	require.NoError(t, err, text)
	b.prints("watch", text)

	b.create(fixture.Expansion("shrink", "sdb", fixture.Sizes{Leaf: "1Gi"}))
	require.Equal(t, kubedb.OpsFailed, b.ended("shrink").Status.Phase)
	_, err = b.withNATS("watch", "-n", b.namespace, "--until-done")
	var exit *user.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, user.ExitFailed, exit.ExitCode())

	text, err = b.opsrelay("retry", b.namespace+"/shrink")
	require.NoError(t, err)
	require.Contains(t, text, "request "+b.namespace+"/shrink-")
	list, err := b.client.SinglestoreOpsRequests(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, 3)
	for _, request := range list.Items {
		if request.Annotations[user.RetryOf] == "shrink" {
			require.Equal(t, kubedb.OpsFailed, b.ended(request.Name).Status.Phase)
			return
		}
	}
	t.Fatal("no request says that it repeats shrink")
}

// One command shows the plan, asks for the expansion and waits for its end.
func TestCommandExpand(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	text, err := b.opsrelay("expand", b.namespace+"/sdb", "--leaf", "11Gi", "--dry-run")
	require.NoError(t, err)
	b.prints("expand-dry-run", text)

	var exit *user.ExitError
	_, err = b.opsrelay("expand", b.namespace+"/sdb", "--leaf", "1Gi")
	require.ErrorAs(t, err, &exit)
	require.Equal(t, user.ExitBlocked, exit.ExitCode())
	_, err = b.opsrelay("expand", b.namespace+"/sdb", "--leaf", "much")
	require.ErrorContains(t, err, `--leaf "much" is no size`)
	_, err = b.opsrelay("expand", b.namespace+"/sdb")
	require.ErrorContains(t, err, "which size?")

	text, err = b.opsrelay("expand", b.namespace+"/sdb", "--leaf", "11Gi", "--wait")
	require.NoError(t, err, text)
	require.Contains(t, text, "request "+b.namespace+"/sdb-expand-")
	require.Contains(t, text, " is Successful\n")
	require.Equal(t, "11Gi", b.capacity("data-sdb-leaf-1"))
}
