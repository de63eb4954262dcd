// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// chains lists every way from the beginning, or from the facts so far, to an
// end.
func chains(t *testing.T, sofar ...events.Fact) [][]events.Fact {
	t.Helper()
	last := events.Fact("")
	if len(sofar) > 0 {
		last = sofar[len(sofar)-1]
	}
	if last.Ends() {
		return [][]events.Fact{sofar}
	}
	var all [][]events.Fact
	for _, next := range last.Successors() {
		require.NotContains(t, sofar, next, "a fact that comes twice has the same id twice")
		require.True(t, last.Precedes(next))
		all = append(all, chains(t, append(slices.Clip(sofar), next)...)...)
	}
	require.NotEmpty(t, all, "%v goes no further, and is no end", sofar)
	return all
}

func TestEveryChainEndsAndEveryFactIsInOne(t *testing.T) {
	t.Parallel()
	met := map[events.Fact]bool{}
	for _, chain := range chains(t) {
		for _, fact := range chain {
			met[fact] = true
		}
	}
	for _, fact := range events.Facts() {
		require.True(t, met[fact], "nothing leads to %s", fact)
		require.True(t, fact.Known())
	}
	require.Len(t, met, len(events.Facts()))
}

func TestOnlyResumedAndRejectedEndAChain(t *testing.T) {
	t.Parallel()
	for _, fact := range events.Facts() {
		require.Equal(t, fact == events.Resumed || fact == events.Rejected, fact.Ends(), fact)
		require.Equal(t, fact.Ends(), len(fact.Successors()) == 0, fact)
		require.Equal(t, fact.Ends(), fact.Step() == "", fact)
	}
}

func TestWhatIsNoFactLeadsNowhere(t *testing.T) {
	t.Parallel()
	require.False(t, events.Fact("").Known())
	require.False(t, events.Fact("").Ends())
	unknown := events.Fact("inspected")
	require.False(t, unknown.Known())
	require.False(t, unknown.Ends())
	require.Empty(t, unknown.Successors())
	require.Empty(t, unknown.Step())
}

// A database that may have been paused is resumed, whatever happens: every chain
// that was not rejected ends so, and from every fact on the way there is one.
func TestEveryUnfinishedChainIsResumed(t *testing.T) {
	t.Parallel()
	for _, chain := range chains(t) {
		if last := chain[len(chain)-1]; chain[0] != events.Rejected {
			require.Equal(t, events.Resumed, last, chain)
		}
	}
}

// Whatever step a request is at, it can fail and its owner can delete it.
func TestEveryStepCanFailAndBeCancelled(t *testing.T) {
	t.Parallel()
	for _, fact := range way(events.Updated) {
		require.True(t, fact.Precedes(events.Failed), fact)
		require.True(t, fact.Precedes(events.Cancelled), fact)
	}
}

func TestTheTableIsNotTheCallers(t *testing.T) {
	t.Parallel()
	events.Requested.Successors()[0] = events.Resumed
	require.False(t, events.Requested.Precedes(events.Resumed))
}

func TestTheEndSaysHowItWent(t *testing.T) {
	t.Parallel()
	require.Equal(t, events.OutcomeSuccessful, sample(events.Resumed).Operation.Outcome)
	require.Equal(t, events.OutcomeFailed, sample(events.Rejected).Operation.Outcome)
	require.Equal(t, events.OutcomeFailed, sample(events.Failed).Next(events.Resumed).Operation.Outcome)
	require.Equal(t, events.OutcomeFailed, recovered().Next(events.Updated).Next(events.Resumed).Operation.Outcome)
	require.Equal(t, events.OutcomeCancelled, recovered().Next(events.Cancelled).Next(events.Resumed).Operation.Outcome)
	require.Contains(t, recovered().Failed(events.Failure{Reason: "UpdateRefused", Message: "no"}).Operation.Failure.Message, "no; before that: expand ")
	require.Equal(t, events.OutcomeCancelled, sample(events.Cancelled).Next(events.Resumed).Operation.Outcome)
	for _, fact := range events.Facts() {
		e := sample(fact)
		require.Equal(t, fact.Ends(), e.Operation.Outcome != "", fact)
		require.Equal(t, fact.Ends(), e.Operation.Deadline.IsZero(), fact)
	}
}

func TestNextLeavesItsEventAlone(t *testing.T) {
	t.Parallel()
	e := sample(events.Expanded)
	next := e.Next(events.Updated)
	next.Operation.Components[0].To = "13Gi"
	next.Operation.Components[0].Volumes[0].Capacity = "13Gi"
	other := e.Next(events.Cancelled)
	require.Equal(t, sample(events.Expanded), e)
	require.Equal(t, events.Updated, next.Operation.History[3].Fact)
	require.Equal(t, events.Cancelled, other.Operation.History[3].Fact)
}

func TestWhatTheTableDoesNotAllowIsADefect(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { sample(events.Paused).Next(events.Resumed) })
	require.Panics(t, func() { sample(events.Failed).Failed(events.Failure{}) })
	require.Panics(t, func() { events.First(events.Paused, "singlestore", events.Operation{}) })
}

func TestSubjectsAreParsedBack(t *testing.T) {
	t.Parallel()
	for _, fact := range events.Facts() {
		e := sample(fact)
		for _, subject := range []string{e.Subject(), e.ChainKey().Live(fact)} {
			parsed, key, err := events.ParseSubject(subject)
			require.NoError(t, err)
			require.Equal(t, fact, parsed)
			require.Equal(t, e.ChainKey(), key)
		}
	}
	for _, subject := range []string{
		"", "opsrelay.v1", "opsrelay.v1.requested.singlestore.demo", "opsrelay.v1.requested.singlestore.demo.u.x", "opsrelay.v1.requested..demo.u",
		"opsrelay.v1.*.singlestore.demo.u", "opsrelay.v1.requested.singlestore.de mo.u", "opsrelay.v1.requested.singlestore.demo.>",
		"opsrelay.v2.requested.singlestore.demo.u", "opsrelay.timer.v1.singlestore.demo.u",
	} {
		_, _, err := events.ParseSubject(subject)
		require.ErrorIs(t, err, events.ErrMalformed, subject)
	}
}

// A subscriber imports the contract, not the services.
func TestTheContractImportsNothingOfKubernetesOrTheServices(t *testing.T) {
	t.Parallel()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	for path := range strings.FieldsSeq(string(output)) {
		require.False(t, strings.HasPrefix(path, "k8s.io/") || strings.HasPrefix(path, "sigs.k8s.io/") || strings.HasPrefix(path, "kubedb.dev/"), path)
		if strings.HasPrefix(path, "github.com/opsrelay/") {
			require.Equal(t, "github.com/opsrelay/opsrelay/events", path)
		}
	}
}
