// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package csidriver

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// users answers with the user it is.
type users string

func (u users) UserOf(context.Context, Volume) (string, error) { return string(u), nil }

// setup returns a driver with one volume of 1 GiB, "pv" of claim "ns.claim".
func setup(t *testing.T, user users) (*Driver, *Faults) {
	t.Helper()
	volumes, err := OpenVolumes(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	faults := NewFaults(user)
	d := New(volumes, faults, &Calls{}, slog.New(slog.DiscardHandler))
	_, err = d.CreateVolume(t.Context(), &csi.CreateVolumeRequest{
		Name:          "pv",
		CapacityRange: &csi.CapacityRange{RequiredBytes: 1 << 30},
		Parameters:    map[string]string{ParameterClaimNamespace: "ns", ParameterClaimName: "claim", ParameterNodeExpansion: "true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, faults
}

func expand(ctx context.Context, d *Driver, bytes int64) (*csi.ControllerExpandVolumeResponse, error) {
	return d.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{
		VolumeId: "pv", CapacityRange: &csi.CapacityRange{RequiredBytes: bytes}})
}

func parseFault(t *testing.T, raw string) Fault {
	t.Helper()
	var f Fault
	if err := json.Unmarshal([]byte(raw), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFaultsAreMet(t *testing.T) {
	tests := []struct {
		name, key, fault string
		user             users
		want             codes.Code
	}{
		{"no fault", "other", `{"code":"INTERNAL"}`, "", codes.OK},
		{"by volume", "pv", `{"code":"OUT_OF_RANGE"}`, "", codes.OutOfRange},
		{"by claim", "ns.claim", `{"code":"INTERNAL"}`, "", codes.Internal},
		{"for all", "*", `{"code":"INTERNAL"}`, "", codes.Internal},
		{"above the size", "*", `{"code":"OUT_OF_RANGE","above":1073741824}`, "", codes.OutOfRange},
		{"not above the size", "*", `{"code":"OUT_OF_RANGE","above":2147483648}`, "", codes.OK},
		{"of the node's part", "*", `{"code":"INTERNAL","operation":"nodeExpand"}`, "", codes.OK},
		{"of another operation", "*", `{"code":"INTERNAL","operation":"create"}`, "", codes.OK},
		{"offline only, in use", "*", `{"offlineOnly":true}`, "pod ns/p", codes.FailedPrecondition},
		{"offline only, not in use", "*", `{"offlineOnly":true}`, "", codes.OK},
		{"a code after offline only", "*", `{"offlineOnly":true,"code":"INTERNAL"}`, "", codes.Internal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, faults := setup(t, test.user)
			faults.Set(test.key, parseFault(t, test.fault))
			if _, err := expand(t.Context(), d, 2<<30); status.Code(err) != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestTheVolumesOwnFaultGoesFirst(t *testing.T) {
	d, faults := setup(t, "")
	faults.Set(AllVolumes, Fault{Code: codes.Internal, Operation: OperationExpand})
	faults.Set("pv", Fault{Operation: OperationExpand})
	if _, err := expand(t.Context(), d, 2<<30); err != nil {
		t.Errorf("got %v, want the volume's own fault, which is none", err)
	}
}

func TestAFaultIsGoneAfterItsTimes(t *testing.T) {
	d, faults := setup(t, "")
	faults.Set("pv", Fault{Code: codes.Internal, Times: 2, Operation: OperationExpand})
	want := []codes.Code{codes.Internal, codes.Internal, codes.OK}
	for i, code := range want {
		if _, err := expand(t.Context(), d, 2<<30); status.Code(err) != code {
			t.Errorf("call %d: got %v, want %v", i+1, err, code)
		}
	}
	if left := faults.All(); len(left) != 0 {
		t.Errorf("faults left: %v", left)
	}
	calls := d.calls.All()
	if len(calls) != 3 || calls[0].Code != "INTERNAL" || calls[2].Code != "OK" || calls[0].RequestedBytes != 2<<30 {
		t.Errorf("calls: %+v", calls)
	}
}

func TestDelayAndNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, faults := setup(t, "")
		faults.Set("pv", parseFault(t, `{"delay":"2s"}`))
		began := time.Now()
		if _, err := expand(t.Context(), d, 2<<30); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("a slow success took %s: %v", time.Since(began), err)
		}
		faults.Set("pv", parseFault(t, `{"never":true}`))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := expand(ctx, d, 2<<30); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v, want no answer until the deadline", err)
		}
	})
}

func TestACallThatIsNeverAnsweredGoesOnWhenTheFaultIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, faults := setup(t, "")
		faults.Set("pv", parseFault(t, `{"never":true}`))
		answer := make(chan error)
		go func() {
			_, err := expand(t.Context(), d, 2<<30)
			answer <- err
		}()
		synctest.Wait() // it waits in the fault
		faults.Clear("other")
		synctest.Wait()
		select {
		case err := <-answer:
			t.Errorf("got %v, want no answer: another volume's fault was cleared", err)
		default:
		}
		faults.Clear("pv")
		if err := <-answer; err != nil {
			t.Errorf("got %v, want that the volume grows", err)
		}
	})
}

func TestGrowthIsKeptAndNeverShrinks(t *testing.T) {
	d, _ := setup(t, "")
	resp, err := expand(t.Context(), d, 2<<30)
	if err != nil || resp.GetCapacityBytes() != 2<<30 || !resp.GetNodeExpansionRequired() {
		t.Fatalf("got %v, %v", resp, err)
	}
	if resp, err = expand(t.Context(), d, 1<<30); err != nil || resp.GetCapacityBytes() != 2<<30 {
		t.Errorf("asked for less, got %v, %v", resp, err)
	}
	again, err := OpenVolumes(d.volumes.dir)
	if err != nil {
		t.Fatal(err)
	}
	if vol, ok := again.Get("pv"); !ok || vol.Bytes != 2<<30 || vol.Claim() != "ns.claim" {
		t.Errorf("after a restart the volume is %+v, %v", vol, ok)
	}
}

func TestTheNodesPartMeetsItsFaults(t *testing.T) {
	d, faults := setup(t, "")
	node := func() error {
		_, err := d.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: "pv", CapacityRange: &csi.CapacityRange{RequiredBytes: 2 << 30}})
		return err
	}
	faults.Set("pv", parseFault(t, `{"code":"OUT_OF_RANGE","operation":"nodeExpand","times":1}`))
	if err := node(); status.Code(err) != codes.OutOfRange {
		t.Errorf("got %v, want the fault", err)
	}
	if err := node(); err != nil {
		t.Errorf("got %v, want no fault any more", err)
	}
}

func TestSizesAreRoundedUpToTheUnit(t *testing.T) {
	d, _ := setup(t, "")
	made, err := d.CreateVolume(t.Context(), &csi.CreateVolumeRequest{
		Name: "rounded", CapacityRange: &csi.CapacityRange{RequiredBytes: 1e9}, Parameters: map[string]string{ParameterUnit: "1073741824"},
	})
	if err != nil || made.GetVolume().GetCapacityBytes() != 1<<30 {
		t.Fatalf("made %v, %v", made, err)
	}
	grown, err := d.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{
		VolumeId: "rounded", CapacityRange: &csi.CapacityRange{RequiredBytes: 6e9}})
	if err != nil || grown.GetCapacityBytes() != 6<<30 {
		t.Errorf("grown to %v, %v", grown, err)
	}
}

func TestControl(t *testing.T) {
	faults := NewFaults(users(""))
	h := Handler(faults, &Calls{})
	call := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return w
	}
	for _, bad := range []string{
		`{"code":"OutOfRange"}`, `{"delay":"2"}`, `{"delay":"-1s"}`, `{"dealy":"2s"}`, `{"operation":"stage"}`, `{"times":-1}`, `{"above":-1}`, `x`,
	} {
		if w := call(http.MethodPut, "/faults/*", bad); w.Code != http.StatusBadRequest {
			t.Errorf("PUT %s gave %d, want 400", bad, w.Code)
		}
	}
	full := `{"delay":"2s","code":"OUT_OF_RANGE","message":"full","never":false,"offlineOnly":false,"times":0}`
	if w := call(http.MethodPut, "/faults/ns.claim", full); w.Code != http.StatusNoContent {
		t.Errorf("PUT gave %d: %s", w.Code, w.Body)
	}
	want := `{"ns.claim":{"delay":"2s","message":"full","never":false,"offlineOnly":false,"times":0,"above":0,"operation":"expand","code":"OUT_OF_RANGE"}}`
	if got := strings.TrimSpace(call(http.MethodGet, "/faults", "").Body.String()); got != want {
		t.Errorf("GET gave\n%s, want\n%s", got, want)
	}
	if got := strings.TrimSpace(call(http.MethodGet, "/calls", "").Body.String()); got != "[]" {
		t.Errorf("calls are %s, want none", got)
	}
	call(http.MethodDelete, "/faults/ns.claim", "")
	if left := faults.All(); len(left) != 0 {
		t.Errorf("faults left: %v", left)
	}
}
