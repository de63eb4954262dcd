// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// TestMain is also the broker, which is this program in another process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == brokerCommand {
		exit(runBroker(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// A request costs no more than is known. Times say nothing here: the machine may
// be busy.
func TestWhatARequestCosts(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	directory := t.TempDir()
	c := &config{pairs: 1, shape: shapes["one"], replicas: 1, waitFor: time.Second, nats: natsR1, binary: filepath.Join(directory, "opsrelay")}
	require.NoError(t, stack.Build(c.binary, false))

	r, err := c.measure(t.Context(), 1)
	require.NoError(t, err)
	t.Log(r.table())
	require.Len(t, r.Pairs, 1)
	require.Len(t, r.Pairs[0].Opsrelay.Stages, 6)

	count := func(service, what string) int { return r.Pairs[0].Opsrelay.Cost.Requests[service][what] }
	for service, writes := range map[string]map[string]int{
		"watcher":  {"patch singlestoreopsrequests": 0},
		"pauser":   {"patch singlestores/status": 2},
		"expander": {"patch persistentvolumeclaims": 3},
		"updater":  {"patch petsets": 1, "patch singlestores": 1},
	} {
		for what, want := range writes {
			require.Equal(t, want, count(service, what), "%s: %s", service, what)
		}
	}
	// One for each fact at most; two unless the machine is busy.
	require.LessOrEqual(t, count("watcher", "patch singlestoreopsrequests/status"), 5)
	require.LessOrEqual(t, count("watcher", "create events"), 6)
	require.EqualValues(t, 5, r.Pairs[0].Opsrelay.Cost.Messages["OPSRELAY"], "one message a fact")

	require.Zero(t, r.Waiting.Requests["expander"]["get persistentvolumeclaims"], "who waits asks nobody")

	base := filepath.Join(directory, "result")
	require.NoError(t, r.write(base))
	require.FileExists(t, base+".json")
	require.FileExists(t, base+".svg")
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for p, want := range map[int]int{50: 50, 95: 95, 99: 99, 100: 100} {
		require.Equal(t, want, percentile(hundred, p), fmt.Sprint(p))
	}
	require.Equal(t, 7, percentile([]int{7}, 99))
	require.Equal(t, 2, percentile([]int{1, 2, 3}, 50))
	require.Zero(t, percentile([]int{}, 50))
}
