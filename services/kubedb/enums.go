// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

// DatabasePhase is the state of a database in one word.
type DatabasePhase string

// The phases of a database.
const (
	DatabaseProvisioning  DatabasePhase = "Provisioning"
	DatabaseDataRestoring DatabasePhase = "DataRestoring"
	DatabaseReady         DatabasePhase = "Ready"
	DatabaseCritical      DatabasePhase = "Critical"
	DatabaseNotReady      DatabasePhase = "NotReady"
	DatabaseHalted        DatabasePhase = "Halted"
	DatabaseUnknown       DatabasePhase = "Unknown"
)

// OpsRequestPhase is the state of a request in one word; empty before anybody looked at it.
type OpsRequestPhase string

// The phases of a request. The approval phases are in the CRD's enum, but nothing in a request asks for approval.
const (
	OpsPending            OpsRequestPhase = "Pending"
	OpsProgressing        OpsRequestPhase = "Progressing"
	OpsSuccessful         OpsRequestPhase = "Successful"
	OpsWaitingForApproval OpsRequestPhase = "WaitingForApproval"
	OpsFailed             OpsRequestPhase = "Failed"
	OpsApproved           OpsRequestPhase = "Approved"
	OpsDenied             OpsRequestPhase = "Denied"
	OpsSkipped            OpsRequestPhase = "Skipped"
)

// Terminal reports whether a request in this phase is over.
func (p OpsRequestPhase) Terminal() bool {
	switch p {
	case OpsSuccessful, OpsFailed, OpsSkipped, OpsDenied:
		return true
	default:
		return false
	}
}

// OpsRequestType is what kind of change a request asks for.
type OpsRequestType string

// The types of a SinglestoreOpsRequest.
const (
	TypeUpdateVersion     OpsRequestType = "UpdateVersion"
	TypeHorizontalScaling OpsRequestType = "HorizontalScaling"
	TypeVerticalScaling   OpsRequestType = "VerticalScaling"
	TypeVolumeExpansion   OpsRequestType = "VolumeExpansion"
	TypeRestart           OpsRequestType = "Restart"
	TypeReconfigure       OpsRequestType = "Reconfigure"
	TypeReconfigureTLS    OpsRequestType = "ReconfigureTLS"
	TypeRotateAuth        OpsRequestType = "RotateAuth"
	TypeStorageMigration  OpsRequestType = "StorageMigration"
)

// OpsRequestTypes lists the types in the order of the CRD's enum.
var OpsRequestTypes = []OpsRequestType{
	TypeUpdateVersion, TypeHorizontalScaling, TypeVerticalScaling, TypeVolumeExpansion, TypeRestart, TypeReconfigure,
	TypeReconfigureTLS, TypeRotateAuth, TypeStorageMigration,
}

// VolumeExpansionMode says whether a volume may be in use while it grows.
type VolumeExpansionMode string

// The modes of a volume expansion.
const (
	// ModeOnline grows a volume under its running pod.
	ModeOnline VolumeExpansionMode = "Online"
	// ModeOffline stops the pod of a volume while it grows.
	ModeOffline VolumeExpansionMode = "Offline"
)

// ApplyOption says when a request may start.
type ApplyOption string

// The apply options.
const (
	// ApplyIfReady waits until the database is Ready. The CRD's default.
	ApplyIfReady ApplyOption = "IfReady"
	// ApplyAlways does not; it is what a database with full disks needs.
	ApplyAlways ApplyOption = "Always"
)

// AnnotationInfeasible is on an operation request and says what becomes of it when the storage cannot give the size:
// InfeasibleFail, the default, or InfeasibleRecover. What it says when the request is admitted counts.
const AnnotationInfeasible = "opsrelay.dev/infeasible"

// The values of AnnotationInfeasible.
const (
	// InfeasibleFail fails the request at once, and leaves everything as it is then.
	InfeasibleFail = "fail"
	// InfeasibleRecover grows what can grow, takes back the requests of the claims that cannot, and writes the size that
	// all have into workload and database. The request fails all the same.
	InfeasibleRecover = "recover"
)

// StorageType says whether a database has volumes.
type StorageType string

// The storage types.
const (
	StorageDurable   StorageType = "Durable"
	StorageEphemeral StorageType = "Ephemeral"
)

// DeletionPolicy says what is left when a database is deleted.
type DeletionPolicy string

// The deletion policies.
const (
	DeletionHalt           DeletionPolicy = "Halt"
	DeletionDelete         DeletionPolicy = "Delete"
	DeletionWipeOut        DeletionPolicy = "WipeOut"
	DeletionDoNotTerminate DeletionPolicy = "DoNotTerminate"
)
