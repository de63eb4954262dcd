// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/opsrelay/opsrelay/services/kubedb"

// The reasons of findings are one word each, for programs. These are about what
// the request itself says.
const (
	ReasonTypeNotSupported = "TypeNotSupported"
	ReasonModeNotSupported = "ModeNotSupported"
	ReasonInvalidRequest   = "InvalidRequest"
	ReasonSizeNotGreater   = "SizeNotGreater"
	ReasonSizeTooLarge     = "SizeTooLarge"
	ReasonNameTaken        = "NameTaken"
	ReasonUnderWay         = "UnderWay"
	ReasonEnded            = "Ended"
)

// These are about the database, and who else is at it.
const (
	ReasonDatabaseNotFound     = "DatabaseNotFound"
	ReasonDatabaseTerminating  = kubedb.ReasonDatabaseTerminating
	ReasonDatabaseNotReady     = "DatabaseNotReady"
	ReasonPausedBySomebodyElse = "PausedBySomebodyElse"
	ReasonQueued               = "Queued"
	ReasonSkipped              = "Skipped"
	ReasonWorkloadMissing      = "WorkloadMissing"
	ReasonWorkloadNotOwned     = "WorkloadNotOwned"
	ReasonNoStorage            = "NoStorage"
	ReasonNoVolumes            = "NoVolumes"
)

// These are about the volumes.
const (
	ReasonClaimMissing     = "ClaimMissing"
	ReasonClaimNotOwned    = "ClaimNotOwned"
	ReasonClaimNotBound    = "ClaimNotBound"
	ReasonClaimLost        = "ClaimLost"
	ReasonClaimTerminating = "ClaimTerminating"
	ReasonStaticVolume     = "StaticVolume"
)

// These are about what the cluster allows.
const (
	ReasonNoStorageClass      = "NoStorageClass"
	ReasonExpansionNotAllowed = "ExpansionNotAllowed"
	ReasonQuotaExceeded       = "QuotaExceeded"
	ReasonLimitRange          = "LimitRange"
	ReasonCapacityShort       = "CapacityShort"
	ReasonBlockedByPDB        = "BlockedByPDB"
	ReasonClaimInUse          = "ClaimInUse"
	ReasonCoolingDown         = "CoolingDown"
	ReasonRightMissing        = "RightMissing"
	ReasonUnchecked           = "Unchecked"
)
