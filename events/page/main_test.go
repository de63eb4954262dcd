// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

func TestThePageIsThatOfTheContract(t *testing.T) {
	t.Parallel()
	want, err := render()
	require.NoError(t, err)
	got, err := os.ReadFile("../../docs/asyncapi.html")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "go generate ./events")
	for _, fact := range events.Facts() {
		require.Contains(t, string(got), "<code>opsrelay.v1."+string(fact)+".{kind}.{namespace}.{uid}</code>")
	}
	require.NotContains(t, string(got), "<script")
	require.NotContains(t, strings.ReplaceAll(string(got), "https://opsrelay.dev/", ""), "https://", "nothing is loaded from elsewhere")
}
