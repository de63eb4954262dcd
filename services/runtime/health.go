// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check returns nil, or why a process is not well, in words for people.
type Check func() error

// Health knows whether a process lives and whether it is ready.
type Health struct {
	// Profiling also serves Go's profiles, at /debug/pprof/. It is to be set before
	// Serve.
	Profiling bool

	mu          sync.Mutex
	live, ready map[string]Check
}

// NewHealth returns a Health without checks, which is well.
func NewHealth() *Health {
	return &Health{live: map[string]Check{}, ready: map[string]Check{}}
}

// Live adds a check that, when it fails for long, only a restart mends.
func (h *Health) Live(name string, check Check) { h.add(h.live, name, check) }

// Ready adds a check that fails while the process cannot do its work.
func (h *Health) Ready(name string, check Check) { h.add(h.ready, name, check) }

// ReadyWhen adds a check that fails with a message until done says true.
func (h *Health) ReadyWhen(name string, done func() bool, message string) {
	h.Ready(name, func() error {
		if !done() {
			return errors.New(message)
		}
		return nil
	})
}

func (h *Health) add(checks map[string]Check, name string, check Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	checks[name] = check
}

// IsReady returns nil, or every reason why the process is not ready.
func (h *Health) IsReady() error { return h.run(h.ready) }

// IsLive returns nil, or every reason why the process should be restarted.
func (h *Health) IsLive() error { return h.run(h.live) }

func (h *Health) run(checks map[string]Check) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var problems []string
	for name, check := range checks {
		if err := check(); err != nil {
			problems = append(problems, name+": "+err.Error())
		}
	}
	if len(problems) == 0 {
		return nil
	}
	sort.Strings(problems)
	return errors.New(strings.Join(problems, "\n"))
}

// Serve answers /livez, /readyz and /metrics, and profiles if they are wanted, on
// the listener until the context ends.
func (h *Health) Serve(ctx context.Context, listener net.Listener, metrics prometheus.Gatherer) error {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", probe(h.IsLive))
	mux.Handle("GET /readyz", probe(h.IsReady))
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	if h.Profiling {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	var handler http.Handler = mux
	if isLoopback(listener.Addr()) {
		handler = LocalOnly(mux, "Another --http-address lets others in.")
	}
	server := NewServer(handler)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve probes and metrics: %w", err)
	case <-ctx.Done():
	}
	// The context has ended already; a probe that is being answered may finish.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := server.Shutdown(ending)
	if failure := <-stopped; !errors.Is(failure, http.ErrServerClosed) {
		return fmt.Errorf("serve probes and metrics: %w", failure)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}

func probe(check Check) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(response, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = response.Write([]byte("ok\n")) // a prober that hung up needs no answer
	})
}
