// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// usage is what a process has used.
type usage struct {
	// CPU is in seconds, user and system.
	CPU float64 `json:"cpuSeconds"`
	// RSS and Peak are its resident memory now and at most, in MiB.
	RSS  float64 `json:"rssMiB"`
	Peak float64 `json:"peakRSSMiB"`
	// Own is what of RSS is not the program's file, which all processes of one
	// program share.
	Own float64 `json:"ownRSSMiB"`
}

// ticksPerSecond is the unit of CPU time in /proc, the same on every Linux.
const ticksPerSecond = 100

// readUsage reads what the kernel says of a process.
func readUsage(pid int) (usage, error) {
	var u usage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The name in parentheses may hold anything; utime and stime are the 14th and
	// 15th field of the line.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return u, err
		}
		u.CPU += ticks / ticksPerSecond
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		name, value, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64) // 0 for what is no size
		switch name {
		case "VmRSS":
			u.RSS = kilobytes / 1024
		case "RssAnon":
			u.Own = kilobytes / 1024
		case "VmHWM":
			u.Peak = kilobytes / 1024
		}
	}
	return u, nil
}

// forgetPeak has the kernel start over with the peak of a process.
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// machine says in one line what was measured on.
func machine() string {
	model := "unknown processor"
	data, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.SplitSeq(string(data), "\n") {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d x %s, %s", processors(), model, goVersion())
}
