// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of the opsrelay binary.
package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/opsrelay/opsrelay/services/opsrelay/user"
	"github.com/opsrelay/opsrelay/services/runtime"
)

const rootLong = `Opsrelay grows the disks of KubeDB databases on Kubernetes.

A SinglestoreOpsRequest of type VolumeExpansion is passed on like a baton by
four services over NATS JetStream:

  watcher   admits the request, and writes its status
  pauser    pauses the database, and resumes it at the end, whatever happened
  expander  grows every volume, and waits until that is true
  updater   writes the new size into workload and database object

Each service is a process of its own that may run in any number of replicas.
Where KubeDB is not installed, provisioner and petset stand in for it.

Every flag can also be given as an environment variable: --nats-url is
OPSRELAY_NATS_URL.

Exit status: 0 done; 1 the command itself did not work; 2 what was asked about is
not well (a request failed, doctor found something broken); of plan and expand, 3
the request would be rejected, 4 it would have to wait.`

// plugin is the binary's name as kubectl finds it: `kubectl opsrelay get`.
const plugin = "kubectl-opsrelay"

// New returns the root command.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:           "opsrelay",
		Annotations:   displayName(os.Args[0]),
		Short:         "Grow the disks of KubeDB databases on Kubernetes",
		Long:          rootLong,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return runtime.SetFromEnvironment(cmd.Flags())
		},
	}
	root.AddGroup(
		&cobra.Group{ID: user.Group, Title: "For people:"},
		&cobra.Group{ID: groupRelay, Title: "The services of the relay:"},
		&cobra.Group{ID: groupKubeDB, Title: "In the place of KubeDB, where it is not installed:"},
		&cobra.Group{ID: groupSetUp, Title: "Setting up:"},
	)
	for _, s := range services() {
		root.AddCommand(serviceCommand(s))
	}
	root.AddCommand(user.Commands()...)
	root.AddCommand(serviceCommand(boardService()))
	root.AddCommand(provisionCommand(), natsAuthCommand(), upCommand(), versionCommand())
	return root
}

// displayName is how people call the binary, for the help.
func displayName(path string) map[string]string {
	if filepath.Base(path) != plugin {
		return nil
	}
	return map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl opsrelay"}
}

// The groups of commands in the help.
const (
	groupRelay  = "relay"
	groupKubeDB = "kubedb"
	groupSetUp  = "setup"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			line := "opsrelay " + runtime.Version()
			if revision := runtime.Revision(); revision != "" {
				line += " (" + revision + ")"
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
			return err
		},
	}
}
