// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

//go:build faultpoints

package faultpoint

import (
	"net/http"
	"regexp"
	"runtime"
	"strings"
)

// Wrap puts points before and after each write that goes to an API server by next.
func Wrap(next http.RoundTripper) http.RoundTripper { return transport{next} }

type transport struct{ next http.RoundTripper }

var verbs = map[string]string{
	http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	verb, writes := verbs[request.Method]
	if !writes {
		return t.next.RoundTrip(request)
	}
	what := verb + " " + resource(request.URL.Path) + " in " + caller()
	At("before", what)
	response, err := t.next.RoundTrip(request)
	At("after", what)
	return response, err
}

// resource is the resource of a path of the API, with its subresource.
func resource(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	drop := 2 // api/v1
	if parts[0] == "apis" {
		drop = 3
	}
	parts = parts[min(drop, len(parts)):]
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	switch len(parts) {
	case 0:
		return path
	case 3:
		return parts[0] + "/" + parts[2]
	default:
		return parts[0]
	}
}

const module = "github.com/opsrelay/opsrelay/"

// closures are the ends of the names of functions within functions.
var closures = regexp.MustCompile(`(\.func\d+|\.\d+|\.gowrap\d+|-range\d+)+$`)

// caller is the function of ours that writes, as package.function or
// package.(*type).method.
func caller() string {
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(2, counters)])
	for {
		frame, more := frames.Next()
		if name, ours := strings.CutPrefix(frame.Function, module); ours && !strings.HasPrefix(name, "services/faultpoint.") {
			return closures.ReplaceAllString(name[strings.LastIndex(name, "/")+1:], "")
		}
		if !more {
			return "unknown"
		}
	}
}
