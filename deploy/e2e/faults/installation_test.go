// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/doctor"
)

// Two installations, each with a broker of its own, in the same namespace: neither
// touches what the other has begun, both say so, and so does the doctor. The one
// takes over what the other has left once it is given that one's name.
func TestSecondInstallationIsNoticed(t *testing.T) {
	t.Parallel()
	l := newLane(t, stack.Options{Args: map[string][]string{"watcher": {"--installation=first", "--redrive-after=1s"}}})
	l.createDatabases(standalone("one"), standalone("two"))
	undo := l.fault("data-one-0", cluster.Fault{Never: true})
	l.create(expansion("grow-one", "one", 2, 0, 0))
	l.condition("grow-one", kubedb.ConditionDatabasePauseSucceeded)
	require.NoError(t, l.stack.StopService("watcher"))

	second, err := stack.Start(l.ctx, stack.Options{
		Cluster: shared.Cluster, Binary: binary, Directory: t.TempDir(), Namespace: l.namespace,
		Args: map[string][]string{"watcher": {"--installation=second", "--redrive-after=1s"}}, Processes: []string{"watcher"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Stop()) })
	requireSays(t, second, "first", "grow-one")
	l.create(expansion("grow-two", "two", 2, 0, 0)) // by the second alone, which has nobody to go on with it
	await(l, l.requests, "grow-two", "under way", func(r *kubedb.SinglestoreOpsRequest) bool {
		return r != nil && r.Status.Phase == kubedb.OpsProgressing
	})

	require.NoError(t, l.stack.StartService("watcher"))
	requireSays(t, l.stack, "second", "grow-two")
	f := l.finding("installations")
	require.Equal(t, doctor.Warning, f.Verdict)
	require.Contains(t, f.Found, l.namespace+` are answered by 2 installations: "first" (grow-one), "second" (grow-two)`)
	require.Contains(t, f.Next, "stop one of them")

	undo()
	l.mustEnd("grow-one", kubedb.OpsSuccessful)
	require.Equal(t, []string{"first", "second"}, []string{l.installation("grow-one"), l.installation("grow-two")})
	require.Equal(t, []bool{true, false}, []bool{l.begun(l.stack, "grow-one"), l.begun(l.stack, "grow-two")}, "chains at the first's broker")
	require.Equal(t, []bool{false, true}, []bool{l.begun(second, "grow-one"), l.begun(second, "grow-two")}, "chains at the second's broker")

	// The second is gone for good. Its name gives its requests to whoever has it.
	require.NoError(t, second.StopService("watcher"))
	require.NoError(t, l.stack.StopService("watcher"))
	require.NoError(t, l.stack.StartService("watcher", "--installation=second"))
	l.mustEnd("grow-two", kubedb.OpsSuccessful)
}

// installation is whose the request is.
func (l *lane) installation(name string) string {
	request, err := l.requestNow(name)
	require.NoError(l.t, err)
	installation, _ := kubedb.InstallationOf(request)
	return installation
}

// begun reports whether the request has a chain at the broker of the stack.
func (l *lane) begun(s *stack.Stack, name string) bool {
	request, err := l.requestNow(name)
	require.NoError(l.t, err)
	conn, err := s.Connect(l.ctx, "begun")
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, conn.Close(l.ctx)) }()
	_, err = conn.Chain("test").Last(l.ctx, events.ChainKey{Kind: "singlestore", Namespace: l.namespace, UID: string(request.UID)})
	if errors.Is(err, bus.ErrNoChain) {
		return false
	}
	require.NoError(l.t, err)
	return true
}

// requireSays waits until the watcher has said that another installation is there,
// and requires that it says so once.
func requireSays(t *testing.T, s *stack.Stack, other, request string) {
	t.Helper()
	var said []string
	require.Eventually(t, func() bool {
		log, err := os.ReadFile(s.LogFile("watcher"))
		require.NoError(t, err)
		said = nil
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, `"other":"`+other+`"`) {
				said = append(said, line)
			}
		}
		return len(said) > 0
	}, patience, quick, "%s is not told of", other)
	require.Len(t, said, 1)
	for _, words := range []string{`"level":"warn"`, request, "stop one of them, or divide the namespaces with --namespace"} {
		require.Contains(t, said[0], words)
	}
}

// finding is what the doctor says of a check about the lane's namespace.
func (l *lane) finding(check string) doctor.Finding {
	command := exec.CommandContext(l.ctx, binary, "doctor", "-o", "json", "--kubeconfig", shared.Cluster.Kubeconfig, "--nats-url", l.stack.NATS)
	out, _ := command.Output() // the error is that something is broken: other lanes' databases, for one
	var findings []doctor.Finding
	require.NoError(l.t, json.Unmarshal(out, &findings), string(out))
	for _, f := range findings {
		if f.Check == check && strings.Contains(f.Found, l.namespace) {
			return f
		}
	}
	require.Fail(l.t, "the doctor says nothing of "+check, string(out))
	return doctor.Finding{}
}
