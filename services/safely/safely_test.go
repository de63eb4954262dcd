// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package safely_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/safely"
)

func TestDo(t *testing.T) {
	t.Parallel()
	require.NoError(t, safely.Do(func() error { return nil }))
	require.EqualError(t, safely.Do(func() error { return errors.New("plain") }), "plain")
	var panicked *safely.Panic
	require.ErrorAs(t, safely.Do(func() error { panic("a defect") }), &panicked)
	require.EqualError(t, panicked, "it panicked: a defect")
	require.Contains(t, string(panicked.Stack), "TestDo")
}

func TestAPanicInAGroupIsItsError(t *testing.T) {
	t.Parallel()
	group, ctx := safely.NewGroup(context.Background())
	group.Go(func() error { panic("a defect") })
	group.Go(func() error { <-ctx.Done(); return ctx.Err() })
	var panicked *safely.Panic
	require.ErrorAs(t, group.Wait(), &panicked)
}
