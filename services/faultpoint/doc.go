// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package faultpoint lets a test end, freeze or delay a process at a place that
// has a name: before and after each write to Kubernetes, around the publishing
// and the acknowledgement of each event.
//
// The product has none of it: without the build tag faultpoints every function
// here does nothing and is inlined away, names and all. With the tag, the
// environment variable OPSRELAY_FAULTPOINTS names a directory, in which the file
// of the process's command ("pauser") is read at every point, so that a running
// process can be armed. It holds one line:
//
//	POINT#N=kill       at the Nth time that the process comes to the point
//	POINT#N=freeze     SIGSTOP; somebody has to send SIGCONT
//	POINT#N=delay 3s
//	acknowledge=lose   the first acknowledgement of every message is not sent
//
// What is to happen at a point happens once: the file is removed before.
//
// The file with .clock behind its name, read when the process starts, says by how
// much its clock is off ("-1h").
//
// Every point that the process comes to is appended to the file with .trace
// behind its name, if there is one: this is how the list of points is made. Writes to Kubernetes need
// no call in the services: the client's transport is where they all pass, and
// their name says which function made them.
package faultpoint
