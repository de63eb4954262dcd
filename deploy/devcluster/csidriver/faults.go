// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package csidriver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Operation is a kind of call that a fault can apply to.
type Operation string

// The operations that can be made to fail.
const (
	OperationCreate     Operation = "create"
	OperationExpand     Operation = "expand"
	OperationNodeExpand Operation = "nodeExpand"
)

// AllVolumes is the key of a fault that every volume meets which has none of its own.
const AllVolumes = "*"

// Fault is a misbehaviour that calls meet. Its parts are applied in the order
// delay, never, offlineOnly, code; a fault with a delay only is a slow success.
type Fault struct {
	// Delay is waited before anything else. Default 0.
	Delay Duration `json:"delay"`
	// Code is the gRPC status to answer with, for example OUT_OF_RANGE or
	// INTERNAL. Empty means that the call succeeds.
	Code codes.Code `json:"-"`
	// Message goes with the code.
	Message string `json:"message"`
	// Never means that the call is not answered until its caller gives up or the
	// fault is cleared.
	Never bool `json:"never"`
	// OfflineOnly refuses with FAILED_PRECONDITION while the volume is in use.
	OfflineOnly bool `json:"offlineOnly"`
	// Times is how many calls meet the fault before it is gone; 0 is for ever.
	Times int `json:"times"`
	// Above spares the calls that ask for no more bytes than that, like a pool
	// that has some room left. Default 0, which spares none.
	Above int64 `json:"above"`
	// Operation is what the fault applies to. Default expand.
	Operation Operation `json:"operation"`
}

// Duration is a time.Duration that is written like "1.5s" in JSON.
type Duration time.Duration

// MarshalText writes the duration as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration understands; empty is 0.
func (d *Duration) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = 0
		return nil
	}
	v, err := time.ParseDuration(string(text))
	if err == nil && v < 0 {
		err = fmt.Errorf("a delay of %s is negative", v)
	}
	*d = Duration(v)
	return err
}

// plainFault has Fault's fields without its methods; the code travels by name.
type plainFault Fault

type faultJSON struct {
	plainFault
	Code string `json:"code"`
}

// MarshalJSON writes the code by its name in the gRPC specification.
func (f Fault) MarshalJSON() ([]byte, error) {
	out := faultJSON{plainFault: plainFault(f)}
	if f.Code != codes.OK {
		out.Code = codeName(f.Code)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a fault and rejects unknown fields, codes and operations:
// a misspelt fault would otherwise be a test that passes for the wrong reason.
func (f *Fault) UnmarshalJSON(raw []byte) error {
	in := faultJSON{plainFault: plainFault{Operation: OperationExpand}}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	*f = Fault(in.plainFault)
	if f.Times < 0 {
		return fmt.Errorf("times is %d, want 0 (for ever) or more", f.Times)
	}
	if f.Above < 0 {
		return fmt.Errorf("above is %d, want 0 (every size) or more", f.Above)
	}
	if operations := []Operation{OperationExpand, OperationCreate, OperationNodeExpand}; !slices.Contains(operations, f.Operation) {
		return fmt.Errorf("operation is %q, want one of %q", f.Operation, operations)
	}
	if in.Code == "" {
		return nil
	}
	var ok bool
	if f.Code, ok = codeNamed(in.Code); !ok {
		return fmt.Errorf("unknown gRPC code %q, want a name such as OUT_OF_RANGE or INTERNAL", in.Code)
	}
	return nil
}

// Users tells whether a volume is in use. It is the driver's only view of the
// cluster, and is asked only for faults that are offlineOnly.
type Users interface {
	// UserOf names what uses the volume ("pod default/db-0"), or "" for nothing.
	UserOf(ctx context.Context, vol Volume) (string, error)
}

// Faults holds the faults by the volume they are for: an id, a claim
// ("<namespace>.<name>") or [AllVolumes].
type Faults struct {
	users Users

	mu       sync.Mutex
	byVolume map[string]Fault
	// cleared are closed when the fault of that volume is cleared.
	cleared map[string]chan struct{}
}

// NewFaults returns an empty set of faults.
func NewFaults(users Users) *Faults {
	return &Faults{users: users, byVolume: map[string]Fault{}, cleared: map[string]chan struct{}{}}
}

// Set replaces the fault of a volume. Calls that wait in an older one go on with it.
func (f *Faults) Set(volume string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byVolume[volume] = fault
}

// Clear removes the fault of a volume. A call that was never to be answered goes
// on as if there had been none.
func (f *Faults) Clear(volume string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byVolume, volume)
	if cleared, waited := f.cleared[volume]; waited {
		close(cleared)
		delete(f.cleared, volume)
	}
}

// All returns a copy of the faults that are set.
func (f *Faults) All() map[string]Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.byVolume)
}

// Meet plays the fault that is set for the call, which asks for that many bytes,
// if any, and returns the status to answer with. A volume's own fault goes before its claim's, and
// that before the one for all.
func (f *Faults) Meet(ctx context.Context, op Operation, vol Volume, bytes int64) error {
	fault, cleared, ok := f.take(op, vol, bytes)
	if !ok {
		return nil
	}
	if err := wait(ctx, time.Duration(fault.Delay)); err != nil {
		return err
	}
	if fault.Never {
		select {
		case <-cleared:
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	if fault.OfflineOnly {
		if err := f.refuseInUse(ctx, vol, fault.Message); err != nil {
			return err
		}
	}
	if fault.Code == codes.OK {
		return nil
	}
	return status.Error(fault.Code, fault.messageFor(vol))
}

// take finds the fault and counts its use. The channel is closed when the fault
// is cleared.
func (f *Faults) take(op Operation, vol Volume, bytes int64) (Fault, <-chan struct{}, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range []string{vol.ID, vol.Claim(), AllVolumes} {
		fault, ok := f.byVolume[key]
		if !ok || fault.Operation != op || bytes <= fault.Above {
			continue
		}
		if fault.Times == 1 {
			delete(f.byVolume, key)
		} else if fault.Times > 1 {
			left := fault
			left.Times--
			f.byVolume[key] = left
		}
		if f.cleared[key] == nil {
			f.cleared[key] = make(chan struct{})
		}
		return fault, f.cleared[key], true
	}
	return Fault{}, nil, false
}

func (f *Faults) refuseInUse(ctx context.Context, vol Volume, message string) error {
	user, err := f.users.UserOf(ctx, vol)
	if err != nil {
		return status.Errorf(codes.Unavailable, "ask who uses volume %s: %v", vol.ID, err)
	}
	if user == "" {
		return nil
	}
	if message == "" {
		message = "this volume can only be expanded while it is not in use"
	}
	return status.Errorf(codes.FailedPrecondition, "volume %s is used by %s: %s", vol.ID, user, message)
}

func (f Fault) messageFor(vol Volume) string {
	if f.Message != "" {
		return f.Message
	}
	return fmt.Sprintf("fault %s set for volume %s", codeName(f.Code), vol.ID)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// codeNames are the codes by their names in the gRPC specification; the
// library's own String is in another spelling (OutOfRange).
var codeNames = map[codes.Code]string{
	codes.OK: "OK", codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN",
	codes.InvalidArgument: "INVALID_ARGUMENT", codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
	codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED",
	codes.OutOfRange: "OUT_OF_RANGE", codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL",
	codes.Unavailable: "UNAVAILABLE", codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}

func codeName(c codes.Code) string { return codeNames[c] }

func codeNamed(name string) (codes.Code, bool) {
	for code, n := range codeNames {
		if n == name && code != codes.OK {
			return code, true
		}
	}
	return codes.OK, false
}
