// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

// The reasons of findings: one word each, for programs.
const (
	// What the request itself says.
	ReasonTypeNotSupported = "TypeNotSupported"
	ReasonModeNotSupported = "ModeNotSupported"
	ReasonInvalidRequest   = "InvalidRequest"
	ReasonSizeNotGreater   = "SizeNotGreater"
	ReasonSizeTooLarge     = "SizeTooLarge"
	ReasonNameTaken        = "NameTaken"
	ReasonUnderWay         = "UnderWay"
	ReasonEnded            = "Ended"

	// The database, and who else is at it.
	ReasonDatabaseNotFound     = "DatabaseNotFound"
	ReasonDatabaseNotReady     = "DatabaseNotReady"
	ReasonPausedBySomebodyElse = "PausedBySomebodyElse"
	ReasonQueued               = "Queued"
	ReasonSkipped              = "Skipped"
	ReasonWorkloadMissing      = "WorkloadMissing"
	ReasonNoStorage            = "NoStorage"

	// The volumes.
	ReasonClaimMissing     = "ClaimMissing"
	ReasonClaimNotBound    = "ClaimNotBound"
	ReasonClaimLost        = "ClaimLost"
	ReasonClaimTerminating = "ClaimTerminating"
	ReasonStaticVolume     = "StaticVolume"

	// What the cluster allows.
	ReasonNoStorageClass      = "NoStorageClass"
	ReasonExpansionNotAllowed = "ExpansionNotAllowed"
	ReasonQuotaExceeded       = "QuotaExceeded"
	ReasonLimitRange          = "LimitRange"
	ReasonCapacityShort       = "CapacityShort"
	ReasonBlockedByPDB        = "BlockedByPDB"
	ReasonCoolingDown         = "CoolingDown"
	ReasonRightMissing        = "RightMissing"
	ReasonUnchecked           = "Unchecked"
)
