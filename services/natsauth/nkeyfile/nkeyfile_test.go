// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package nkeyfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/services/natsauth/nkeyfile"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "nkey.seed")
	_, err := nkeyfile.Open(file)
	require.ErrorContains(t, err, file)
	require.NoError(t, os.WriteFile(file, []byte("no key"), 0o600))
	_, err = nkeyfile.Open(file)
	require.ErrorContains(t, err, file)
	account, err := nkeys.CreateAccount()
	require.NoError(t, err)
	seed, err := account.Seed()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, seed, 0o600))
	_, err = nkeyfile.Open(file)
	require.ErrorContains(t, err, "not a user's")
}
