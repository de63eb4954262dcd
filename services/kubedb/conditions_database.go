// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

// Condition types of a Singlestore database.
const (
	ConditionProvisioningStarted = "ProvisioningStarted"
	ConditionReplicaReady        = "ReplicaReady"
	ConditionAcceptingConnection = "AcceptingConnection"
	ConditionReady               = "Ready"
	ConditionProvisioned         = "Provisioned"
	// ConditionPaused True means that nobody but the one who paused the database changes anything that belongs to it.
	ConditionPaused             = "Paused"
	ConditionHalted             = "Halted"
	ConditionHealthCheckPaused  = "HealthCheckPaused"
	ConditionDataRestoreStarted = "DataRestoreStarted"
	ConditionDataRestored       = "DataRestored"
)

// Reasons of the conditions above.
const (
	ReasonProvisioningStarted    = "DatabaseProvisioningStartedSuccessfully"
	ReasonAllReplicasReady       = "AllReplicasReady"
	ReasonSomeReplicasNotReady   = "SomeReplicasNotReady"
	ReasonAcceptingConnection    = "AcceptingConnection"
	ReasonNotAcceptingConnection = "DatabaseNotAcceptingConnectionRequest"
	ReasonProvisioned            = "DatabaseSuccessfullyProvisioned"
	ReasonReadinessCheckFailed   = "ReadinessCheckFailed"
	// ReasonPaused is the reason of ConditionPaused, whoever sets it.
	ReasonPaused = "Paused"
	// ReasonDataRestoreFailed marks a restore that ended without success.
	ReasonDataRestoreFailed = "DataRestoreFailed"
)
