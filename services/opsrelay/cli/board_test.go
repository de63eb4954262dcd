// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBoardListensElsewhereWithATokenOnly(t *testing.T) {
	t.Parallel()
	for _, here := range []string{"127.0.0.1:8090", "[::1]:0", "localhost:8090"} {
		require.NoError(t, checkListen(here, ""))
	}
	for _, elsewhere := range []string{":8090", "0.0.0.0:8090", "[::]:8090", "10.1.2.3:80", "board.example.com:80"} {
		require.ErrorContains(t, checkListen(elsewhere, ""), "give a --token-file")
		require.NoError(t, checkListen(elsewhere, "token"))
	}
	require.ErrorContains(t, checkListen("8090", ""), "--listen")
}

// The board opens its page's port and no other, unless it is told to.
func TestD10_TheBoardOpensOnePort(t *testing.T) {
	t.Parallel()
	flags := serviceCommand(boardService()).Flags()
	require.Empty(t, flags.Lookup("http-address").DefValue)
	require.NoError(t, checkListen(flags.Lookup("listen").DefValue, ""), "it listens on this machine alone")
}

func TestReadToken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	_, err := readToken(file)
	require.ErrorContains(t, err, "--token-file")
	require.NoError(t, os.WriteFile(file, []byte(" \n"), 0o600))
	_, err = readToken(file)
	require.ErrorContains(t, err, "is empty")
	require.NoError(t, os.WriteFile(file, []byte("secret\n"), 0o600))
	token, err := readToken(file)
	require.NoError(t, err)
	require.Equal(t, "secret", token)
}
