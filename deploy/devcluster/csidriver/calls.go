// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package csidriver

import (
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

// maxCalls bounds the memory of [Calls]; the oldest are dropped beyond it.
const maxCalls = 50_000

// Call is one ControllerExpandVolume call.
type Call struct {
	// Time is when the call came in.
	Time time.Time `json:"time"`
	// Volume is the volume's id, Claim its "<namespace>.<name>".
	Volume string `json:"volume"`
	Claim  string `json:"claim"`
	// RequestedBytes is the size asked for.
	RequestedBytes int64 `json:"requestedBytes"`
	// Code is the name of the gRPC status; empty while the call is not answered.
	Code string `json:"code"`
	// Seconds is the time it took to answer.
	Seconds float64 `json:"seconds"`
}

// Calls remembers the ControllerExpandVolume calls in the order in which they came in.
type Calls struct {
	mu   sync.Mutex
	list []*Call
}

// Begin notes a call; the returned function notes its answer.
func (c *Calls) Begin(vol Volume, bytes int64) (done func(codes.Code)) {
	call := &Call{Time: time.Now(), Volume: vol.ID, Claim: vol.Claim(), RequestedBytes: bytes}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) >= maxCalls {
		c.list = slices.Delete(c.list, 0, maxCalls/10)
	}
	c.list = append(c.list, call)
	return func(code codes.Code) {
		c.mu.Lock()
		defer c.mu.Unlock()
		call.Code = codeName(code)
		call.Seconds = time.Since(call.Time).Seconds()
	}
}

// All returns a copy of the calls.
func (c *Calls) All() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Call, len(c.list))
	for i, call := range c.list {
		out[i] = *call
	}
	return out
}
