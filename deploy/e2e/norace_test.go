//go:build !race

// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

// raceDetector says that the services under test are built without the race
// detector, as this test is.
const raceDetector = false
