// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package user holds the commands for people: where is my operation and why does
// it wait, what happened, and stop, retry or hold it. They read the API server
// with the caller's own kubeconfig, and the broker with a NATS user that may
// read; none needs a service to run.
package user

import (
	"github.com/spf13/cobra"
)

// Group is the id of the group that the commands have in the help.
const Group = "user"

// Commands returns the commands.
func Commands() []*cobra.Command {
	commands := []*cobra.Command{
		expandCommand(), planCommand(), getCommand(), watchCommand(), cancelCommand(), retryCommand(),
		timelineCommand(), eventsCommand(), pausePhaseCommand(), resumePhaseCommand(), deadLettersCommand(), doctorCommand(),
	}
	for _, command := range commands {
		command.GroupID = Group
	}
	return commands
}
