// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Progress is how far one volume of a request has come. It is published beside
// the chain, and only the newest of a volume is kept: for showing, never for
// deciding.
type Progress struct {
	// Time is when its publisher saw it.
	Time time.Time `json:"time"`
	// Request is the operation request.
	Request Reference `json:"request"`
	// Component is the name of the component, "leaf" for one.
	Component string `json:"component"`
	// Claim is the volume's claim.
	Claim string `json:"claim"`
	// Capacity is what the claim has now, To what it will have: Kubernetes
	// quantities.
	Capacity string `json:"capacity,omitempty"`
	To       string `json:"to"`
	// State is the stage of the growth, in Kubernetes' own words where it has
	// one (ControllerResizeInProgress, NodeResizePending, ...); "Requested"
	// before and "Grown" after.
	State string `json:"state"`
	// Message says why a volume waits or failed, in the driver's own words.
	Message string `json:"message,omitempty"`
	// Grown is how many volumes of the component have grown, Volumes how many it
	// has.
	Grown   int `json:"grown,omitempty"`
	Volumes int `json:"volumes,omitempty"`
}

// maxWords bounds the message of a progress, and maxMessage that of a failure, in
// bytes: both end up in a request's status.
const (
	maxWords   = 1 << 10
	maxMessage = 8 << 10
)

// Shorten cuts a text that is longer than so many bytes.
func Shorten(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	return strings.ToValidUTF8(text[:bytes], "") + "..."
}

// The states that Kubernetes has no word for.
const (
	StateRequested = "Requested"
	StateGrown     = "Grown"
)

// The states of a volume that waits for something that somebody may have to do
// something about; the message says what. All but the first come when volumes grow
// while their pods are down.
const (
	// StateNoResizer: nobody reacts to the larger claim.
	StateNoResizer = "NoResizerObserved"
	// StatePodsNotReady: other pods, or the database, are not ready yet.
	StatePodsNotReady = "PodsNotReady"
	// StateBlockedByPDB: a disruption budget does not let the pod go.
	StateBlockedByPDB = "BlockedByPDB"
	// StateClaimInUse: another pod uses the volume as well.
	StateClaimInUse = "ClaimInUse"
	// StatePodTerminating: the pod was asked to end, and has not yet.
	StatePodTerminating = "PodTerminating"
	// StateVolumeAttached: the pod is dead, and the volume still attached.
	StateVolumeAttached = "VolumeAttached"
)

// WaitingStates lists the states of a volume that somebody may have to do
// something about.
func WaitingStates() []string {
	return []string{StateNoResizer, StatePodsNotReady, StateBlockedByPDB, StateClaimInUse, StatePodTerminating, StateVolumeAttached}
}

// Waits reports whether somebody may have to do something for the volume to go on.
func (p Progress) Waits() bool { return slices.Contains(WaitingStates(), p.State) }

// EncodeProgress returns p as a message on the subject of its volume. What it
// takes, [DecodeProgress] reads.
func EncodeProgress(key ChainKey, p Progress) (*nats.Msg, error) {
	subject := key.Progress(p.Claim)
	if tokens := strings.Split(strings.TrimPrefix(subject, progressPrefix), "."); len(tokens) != 4 || !allPlain(tokens) {
		return nil, fmt.Errorf("encode progress of claim %q: kind, namespace, uid and claim must be single tokens of a subject: %q", p.Claim, subject)
	}
	p.Message = Shorten(p.Message, maxWords)
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode progress of claim %q: %w", p.Claim, err)
	}
	msg := nats.NewMsg(subject)
	msg.Data = data
	return msg, nil
}

// DecodeProgress reads a stored message back. Unknown fields and unknown states
// are no error. Every error wraps [ErrMalformed].
func DecodeProgress(data []byte) (Progress, error) {
	var p Progress
	if err := json.Unmarshal(data, &p); err != nil {
		return Progress{}, fmt.Errorf("%w: progress: %w", ErrMalformed, err)
	}
	if !allPlain([]string{p.Claim}) {
		return Progress{}, fmt.Errorf("%w: progress of claim %q, which is no name", ErrMalformed, p.Claim)
	}
	return p, nil
}
