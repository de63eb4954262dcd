// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/natsauth"
)

// TestTheBusTakesARotatedKey has the older key gone before the connection is.
func TestTheBusTakesARotatedKey(t *testing.T) {
	t.Parallel()
	s := start(t, natsauth.Options{})
	pauser := s.connect(t, "pauser")
	files, err := s.set.Rotate("pauser")
	require.NoError(t, err)
	s.deliver(t, files)
	files, err = s.set.Retire("pauser")
	require.NoError(t, err)
	s.deliver(t, files)
	s.reload(t) // disconnects the older key
	require.Eventually(t, func() bool { return pauser.JetStream().Conn().Stats().Reconnects > 0 && pauser.Ready() == nil }, patience, tick)
}
