// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// Other tests read the files, so: go test ./events -run OnTheWire -update
var update = flag.Bool("update", false, "rewrite the golden files")

// A golden file is a message as it is on the wire, its payload indented. A
// change of one is a change of the contract: it may add, and nothing else.
func TestEveryFactIsOnTheWireAsItWas(t *testing.T) {
	t.Parallel()
	for _, fact := range events.Facts() {
		t.Run(string(fact), func(t *testing.T) {
			t.Parallel()
			message, err := events.Encode(sample(fact))
			require.NoError(t, err)
			golden := sameAsGolden(t, string(fact), message)
			e, err := events.Decode(golden.Subject, golden.Header, golden.Data)
			require.NoError(t, err)
			require.Equal(t, sample(fact), e)
		})
	}
}

func TestARecoveryIsOnTheWireAsItWas(t *testing.T) {
	t.Parallel()
	message, err := events.Encode(recovered())
	require.NoError(t, err)
	golden := sameAsGolden(t, "expanded-recovered", message)
	e, err := events.Decode(golden.Subject, golden.Header, golden.Data)
	require.NoError(t, err)
	require.Equal(t, recovered(), e)
}

func TestProgressIsOnTheWireAsItWas(t *testing.T) {
	t.Parallel()
	message, err := events.EncodeProgress(sample(events.Paused).ChainKey(), sampleProgress())
	require.NoError(t, err)
	golden := sameAsGolden(t, "progress", message)
	p, err := events.DecodeProgress(golden.Data)
	require.NoError(t, err)
	require.Equal(t, sampleProgress(), p)
}

func TestThereIsNoOtherGoldenFile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	require.Len(t, files, len(events.Facts())+2)
}

// sameAsGolden requires that the message is the one in its golden file, which it
// returns as it is read from there.
func sameAsGolden(t *testing.T, name string, message *nats.Msg) *nats.Msg {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(goldenFile(name), text(t, message), 0o600))
	}
	written, err := os.ReadFile(goldenFile(name))
	require.NoError(t, err)
	require.Equal(t, string(written), string(text(t, message)))
	return golden(t, name)
}

func goldenFile(name string) string { return filepath.Join("testdata", name+".golden") }

// text is the message as a golden file has it: the subject, the headers by name,
// an empty line, the payload.
func text(t *testing.T, message *nats.Msg) []byte {
	t.Helper()
	var text bytes.Buffer
	fmt.Fprintln(&text, message.Subject)
	for _, name := range slices.Sorted(maps.Keys(message.Header)) {
		fmt.Fprintf(&text, "%s: %s\n", name, message.Header.Get(name))
	}
	text.WriteByte('\n')
	require.NoError(t, json.Indent(&text, message.Data, "", "  "))
	text.WriteByte('\n')
	return text.Bytes()
}

// golden reads the message of a golden file.
func golden(t testing.TB, name string) *nats.Msg {
	t.Helper()
	written, err := os.ReadFile(goldenFile(name))
	require.NoError(t, err)
	head, payload, ok := strings.Cut(string(written), "\n\n")
	require.True(t, ok)
	lines := strings.Split(head, "\n")
	message := nats.NewMsg(lines[0])
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		require.True(t, ok, line)
		message.Header.Set(name, value)
	}
	message.Data = []byte(payload)
	return message
}
