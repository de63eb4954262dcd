// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// What a client may hold a connection with: the time in which it sends the header of
// a request, and in which it sends the next one.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
)

// NewServer returns a server that no client can hold connections of for nothing. An
// answer may take as long as it does: a stream of events has no end.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout}
}

// LocalOnly answers only who asks for this machine by an address of its own, or as
// localhost. Whoever listens on this machine alone is reached by its browsers all
// the same: a page of another site may have its own name resolved to 127.0.0.1 (DNS
// rebinding), and would read what it is not meant to. otherwise says what to do for
// another name, in a sentence.
func LocalOnly(next http.Handler, otherwise string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r.Host) {
			http.Error(w, fmt.Sprintf("this server is for this machine alone: ask for it as localhost or 127.0.0.1, not as %q. %s", r.Host, otherwise), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal tells whether a Host header names this machine. An address cannot be
// resolved to another one, and browsers resolve localhost themselves.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isLoopback tells whether an address is reached from this machine alone.
func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
