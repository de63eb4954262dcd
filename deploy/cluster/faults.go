// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// NodeExpand is the operation of a fault that the node meets.
const NodeExpand = "nodeExpand"

// Fault is how the storage driver misbehaves when it is to expand a volume.
type Fault struct {
	// Delay is how long it thinks first, as Go writes durations.
	Delay string `json:"delay,omitempty"`
	// Code is the gRPC code that it answers with, "OUT_OF_RANGE" for one; empty
	// means that it does what it is asked to.
	Code string `json:"code,omitempty"`
	// Message is what it says with the code.
	Message string `json:"message,omitempty"`
	// Never means that it does not answer at all.
	Never bool `json:"never,omitempty"`
	// OfflineOnly means that it refuses while a pod uses the volume.
	OfflineOnly bool `json:"offlineOnly,omitempty"`
	// Times is how often the fault happens before it is gone; 0 means always.
	Times int `json:"times,omitempty"`
	// Above spares the calls that ask for no more bytes than that.
	Above int64 `json:"above,omitempty"`
	// Operation is what is asked of the driver; empty means the controller's part of
	// an expansion.
	Operation string `json:"operation,omitempty"`
}

// AllVolumes stands for every volume in SetFault.
const AllVolumes = "*"

// ClaimVolume names a volume by its claim in SetFault.
func ClaimVolume(namespace, claim string) string { return namespace + "." + claim }

// SetFault makes the storage driver misbehave for a volume: the name of a
// persistent volume, ClaimVolume or AllVolumes.
func (c *Cluster) SetFault(ctx context.Context, volume string, fault Fault) error {
	body, err := json.Marshal(fault)
	if err != nil {
		return fmt.Errorf("set fault of %s: %w", volume, err)
	}
	return c.control(ctx, http.MethodPut, volume, body)
}

// ClearFault makes the storage driver behave again for that volume.
func (c *Cluster) ClearFault(ctx context.Context, volume string) error {
	return c.control(ctx, http.MethodDelete, volume, nil)
}

func (c *Cluster) control(ctx context.Context, method, volume string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, method, c.CSI+"/faults/"+volume, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("fault of %s: %w", volume, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("fault of %s: %w", volume, err)
	}
	defer func() { _ = response.Body.Close() }() // it was read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("fault of %s: %w", volume, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("fault of %s: %s: %s", volume, response.Status, bytes.TrimSpace(text))
	}
	return nil
}
