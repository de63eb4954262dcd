// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPhaseFromConditions(t *testing.T) {
	t.Parallel()
	const started = "ProvisioningStarted "
	tests := []struct {
		// conditions lists types, True unless a ! comes first, each a second later than the one before it.
		conditions string
		want       DatabasePhase
	}{
		{"", ""},
		{started, DatabaseProvisioning},
		{started + "!ReplicaReady", DatabaseProvisioning},
		{started + "ReplicaReady AcceptingConnection Ready", DatabaseProvisioning},
		{started + "ReplicaReady AcceptingConnection Ready Provisioned", DatabaseReady},
		{started + "ReplicaReady AcceptingConnection Ready Provisioned Paused", DatabaseReady},
		{started + "!ReplicaReady AcceptingConnection Ready Provisioned", DatabaseCritical},
		{started + "ReplicaReady AcceptingConnection !Ready Provisioned", DatabaseCritical},
		{started + "!ReplicaReady !AcceptingConnection !Ready Provisioned", DatabaseNotReady},
		{started + "ReplicaReady AcceptingConnection Provisioned", DatabaseProvisioning},
		{started + "Ready Provisioned HealthCheckPaused Halted", DatabaseUnknown},
		{started + "Ready Provisioned Halted", DatabaseHalted},
		{started + "Ready Provisioned !Halted", DatabaseReady},
		{started + "Ready Provisioned DataRestoreStarted", DatabaseDataRestoring},
		{started + "Ready Provisioned DataRestoreStarted !DataRestored", DatabaseNotReady},
		{started + "Ready Provisioned DataRestoreStarted DataRestored", DatabaseReady},
		{started + "Ready Provisioned DataRestored DataRestoreStarted", DatabaseDataRestoring},
		{started + "Ready Provisioned !DataRestored DataRestoreStarted", DatabaseDataRestoring},
		{started + "Ready Provisioned !DataRestoreStarted !DataRestored", DatabaseReady},
	}
	for _, test := range tests {
		t.Run(test.conditions, func(t *testing.T) {
			t.Parallel()
			var conds []Condition
			for i, name := range strings.Fields(test.conditions) {
				c := Condition{Type: strings.TrimPrefix(name, "!"), Status: "True", LastTransitionTime: metav1.NewTime(time.Unix(int64(i), 0))}
				if name != c.Type {
					c.Status = "False"
				}
				conds = append(conds, c)
			}
			require.Equal(t, test.want, PhaseFromConditions(conds))
		})
	}
}

func TestTerminalPhases(t *testing.T) {
	t.Parallel()
	for phase, want := range map[OpsRequestPhase]bool{
		"": false, OpsPending: false, OpsProgressing: false, OpsWaitingForApproval: false, OpsApproved: false,
		OpsSuccessful: true, OpsFailed: true, OpsSkipped: true, OpsDenied: true,
	} {
		require.Equal(t, want, phase.Terminal(), phase)
	}
}
