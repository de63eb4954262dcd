// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// proxy stands between a service and the API server, and is as slow as a test
// wants.
type proxy struct {
	reverse httputil.ReverseProxy

	mu sync.Mutex
	// watches has a lock for each resource, which is locked while answers to watches
	// of it are held back.
	watches map[string]*sync.RWMutex
	// patch is the one that is held back; nil if none is.
	patch *heldPatch
	// outdated are the objects whose patches were refused: the object is another one
	// by now.
	outdated []string
}

// heldPatch is a patch on its way: it has left the service, whatever becomes of
// that, and has not arrived.
type heldPatch struct {
	path     string // ends like this
	arrived  chan struct{}
	released chan struct{}
}

// startBehindProxy restarts the service so that it reaches the API server
// through a proxy.
func (l *lane) startBehindProxy(service string) *proxy {
	config := shared.Cluster.Config()
	transport, err := rest.TransportFor(config)
	require.NoError(l.t, err)
	target, err := url.Parse(config.Host)
	require.NoError(l.t, err)
	p := &proxy{watches: map[string]*sync.RWMutex{}}
	p.reverse = httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1, ModifyResponse: p.answer,
	}
	server := httptest.NewServer(p)
	l.t.Cleanup(server.Close)
	kubeconfig := filepath.Join(l.t.TempDir(), "kubeconfig")
	require.NoError(l.t, os.WriteFile(kubeconfig, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"proxy",`+
		`"clusters":[{"name":"proxy","cluster":{"server":"`+server.URL+`"}}],"contexts":[{"name":"proxy","context":{"cluster":"proxy"}}]}`), 0o600))
	require.NoError(l.t, l.stack.StopService(service))
	require.NoError(l.t, l.stack.StartService(service, "--kubeconfig", kubeconfig))
	l.t.Cleanup(func() { require.NoError(l.t, l.stack.StopService(service)) }) // before the proxy ends
	return p
}

// holdWatches holds back what watches of the resource say until release is called.
func (p *proxy) holdWatches(l *lane, resource string) (release func()) {
	lock := p.lockOf(resource)
	lock.Lock()
	release = sync.OnceFunc(lock.Unlock)
	l.t.Cleanup(release)
	return release
}

func (p *proxy) lockOf(resource string) *sync.RWMutex {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watches[resource] == nil {
		p.watches[resource] = &sync.RWMutex{}
	}
	return p.watches[resource]
}

// holdPatch holds back the next patch whose path ends like that. arrived is closed
// when it is there.
func (p *proxy) holdPatch(l *lane, path string) (arrived <-chan struct{}, release func()) {
	held := &heldPatch{path: path, arrived: make(chan struct{}), released: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.patch = held
	release = sync.OnceFunc(func() { close(held.released) })
	l.t.Cleanup(release)
	return held.arrived, release
}

// refused are the objects whose patches were refused because they are others by
// now.
func (p *proxy) refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.outdated)
}

// ServeHTTP implements [http.Handler].
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPatch {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // it did not leave the service
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		// From here on it is on its way, also when nobody waits for the answer.
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		r = r.WithContext(ctx)
		if held := p.take(r.URL.Path); held != nil {
			close(held.arrived)
			<-held.released
		}
	}
	p.reverse.ServeHTTP(w, r)
}

// take returns the patch to be held back, if this is it.
func (p *proxy) take(path string) *heldPatch {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := p.patch
	if held == nil || !strings.HasSuffix(path, held.path) {
		return nil
	}
	p.patch = nil
	return held
}

// answer sees what the API server answers.
func (p *proxy) answer(response *http.Response) error {
	request := response.Request
	object := path.Base(strings.TrimSuffix(request.URL.Path, "/status"))
	switch {
	case request.URL.Query().Get("watch") != "":
		response.Body = heldBody{response.Body, p.lockOf(object)}
	case request.Method == http.MethodPatch && slices.Contains(refusals, response.StatusCode):
		p.mu.Lock()
		defer p.mu.Unlock()
		p.outdated = append(p.outdated, object)
	}
	return nil
}

// refusals of a patch whose object is another one by now: a version, or a test of
// a JSON patch.
var refusals = []int{http.StatusConflict, http.StatusUnprocessableEntity}

// heldBody is an answer that is held back while the lock is.
type heldBody struct {
	io.ReadCloser

	lock *sync.RWMutex
}

// Read implements [io.Reader].
func (h heldBody) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.lock.RLock()
	defer h.lock.RUnlock()
	return n, err
}
