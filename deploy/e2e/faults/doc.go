// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package faults breaks Opsrelay on purpose: processes are killed, frozen and
// restarted at every place where that can matter. Whatever happens, every
// request ends right, and nothing is done twice.
//
// The binary under test is built with fault points (services/faultpoint). All
// tests share a cluster; each has a namespace and, for it alone, a broker and
// services as processes.
package faults
