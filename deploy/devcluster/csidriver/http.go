// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package csidriver

import (
	"encoding/json"
	"net/http"
)

// maxFaultBytes bounds the body of a PUT.
const maxFaultBytes = 64 << 10

// Handler is the driver's control over HTTP:
//
//	GET    /faults           the faults by volume
//	PUT    /faults/{volume}  set one; {volume} is *, a PersistentVolume's name or <namespace>.<claim>
//	DELETE /faults/{volume}  remove one
//	GET    /calls            the ControllerExpandVolume calls so far
func Handler(faults *Faults, calls *Calls) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, faults.All()) })
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, calls.All()) })
	mux.HandleFunc("PUT /faults/{volume}", func(w http.ResponseWriter, r *http.Request) {
		var fault Fault
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFaultBytes)).Decode(&fault); err != nil {
			http.Error(w, "read the fault: "+err.Error(), http.StatusBadRequest)
			return
		}
		faults.Set(r.PathValue("volume"), fault)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /faults/{volume}", func(w http.ResponseWriter, r *http.Request) {
		faults.Clear(r.PathValue("volume"))
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// writeJSON ignores the error of a client that went away: there is nobody to tell.
func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
