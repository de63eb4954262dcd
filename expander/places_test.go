// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlacesAreGivenInOrder(t *testing.T) {
	t.Parallel()
	p := places{bound: 2}
	one, two := make(chan struct{}, 1), make(chan struct{}, 1)
	require.True(t, p.take("fast", "a", one))
	require.True(t, p.take("fast", "a", one), "it has its place")
	require.True(t, p.take("fast", "b", one))
	require.True(t, p.take("slow", "x", two), "each class has its own")
	require.False(t, p.take("fast", "c", one))
	require.False(t, p.take("fast", "c", one), "it waits once")
	require.False(t, p.take("fast", "d", two))

	p.leave("fast", "a")
	require.Len(t, one, 1, "the next is told")
	require.Empty(t, two)
	require.True(t, p.take("fast", "c", one))
	require.False(t, p.take("fast", "d", two))

	p.leave("fast", "d") // its request was cancelled
	p.leave("fast", "b")
	require.Empty(t, two, "who has left is given nothing")
	require.True(t, p.take("fast", "e", two))

	p.keep("fast", "f") // it grew when this process began
	p.leave("fast", "c")
	require.False(t, p.take("fast", "g", two), "two grow")
	for _, claim := range []string{"e", "f", "g"} {
		p.leave("fast", claim)
	}
	p.leave("slow", "x")
	require.Empty(t, p.classes, "nothing is kept")
}

func TestNoBoundIsNoWait(t *testing.T) {
	t.Parallel()
	var p places
	for _, claim := range []string{"a", "b", "c"} {
		require.True(t, p.take("fast", claim, nil))
	}
	p.leave("fast", "a")
}
