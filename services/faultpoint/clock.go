// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

//go:build faultpoints

package faultpoint

import (
	"os"
	"strings"
	"time"
)

// off is by how much this machine's clock is off for the process.
var off = readOff()

func readOff() time.Duration {
	data, err := os.ReadFile(file + ".clock")
	if err != nil {
		return 0
	}
	d, err := time.ParseDuration(strings.TrimSpace(string(data)))
	if err != nil {
		panic(err)
	}
	return d
}

// Clock is this machine's clock. One that is off has no monotonic reading: it was
// set wrong before the process began.
func Clock() time.Time {
	if off == 0 {
		return time.Now()
	}
	return time.Now().Add(off).Round(0)
}
