// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// Every command can be found and explains itself: what it does, how it is called
// for one, and what each flag means.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	var look func(*cobra.Command)
	look = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" {
			return
		}
		require.NotEmpty(t, c.Short, c.CommandPath())
		require.NotContains(t, c.Short[len(c.Short)-1:], ".", c.CommandPath())
		if c.Runnable() && c.Name() != "version" {
			require.NotEmpty(t, c.Example, c.CommandPath())
		}
		for _, child := range c.Commands() {
			look(child)
		}
	}
	look(New())
}

func TestHelpOfThePlugin(t *testing.T) {
	t.Parallel()
	require.Nil(t, displayName("/usr/bin/opsrelay"))
	root := New()
	root.Annotations = displayName("/usr/bin/kubectl-opsrelay")
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"get", "--help"})
	require.NoError(t, root.Execute())
	require.Contains(t, out.String(), "kubectl opsrelay get [[NAMESPACE/]NAME]")
}
