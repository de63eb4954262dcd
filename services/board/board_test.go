// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// chain is a request's way to the fact, as the board hears it.
func chain(uid string, facts ...events.Fact) []events.Event {
	op := events.Operation{
		Request:  events.Reference{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: "grow-" + uid, UID: uid},
		Database: events.Reference{Kind: "Singlestore", Namespace: "demo", Name: "sdb"},
		Components: []events.Component{{Name: "leaf", Workload: "sdb-leaf", From: "10Gi", To: "11Gi",
			Volumes: []events.Volume{{Claim: "data-sdb-leaf-0", Capacity: "10Gi"}, {Claim: "data-sdb-leaf-1", Capacity: "10Gi"}}}},
	}
	e := events.First(facts[0], "singlestore", op)
	all := []events.Event{e}
	for _, fact := range facts[1:] {
		e = e.Next(fact)
		all = append(all, e)
	}
	return all
}

func TestBatonHearsItsChainOnce(t *testing.T) {
	t.Parallel()
	var b Baton
	all := chain("u", events.Requested, events.Paused)
	for range 2 { // everything may come twice
		for _, e := range all {
			b.hear(e)
		}
	}
	b.grow(events.Progress{Component: "leaf", Claim: "data-sdb-leaf-1", Capacity: "11Gi", State: events.StateGrown})
	require.Equal(t, "paused", b.Fact)
	require.Len(t, b.Facts, 2)
	require.Equal(t, []Component{{Name: "leaf", From: "10Gi", To: "11Gi", Volumes: []Volume{
		{Claim: "data-sdb-leaf-0", Capacity: "10Gi"}, {Claim: "data-sdb-leaf-1", Capacity: "11Gi", State: "Grown"},
	}}}, b.Components)
}

// A watcher that is slow gets the newest state of what has changed, once.
func TestWatcherSeesTheNewest(t *testing.T) {
	t.Parallel()
	tr := newTrack()
	w := tr.watch()
	for _, e := range chain("u", events.Requested, events.Paused, events.Expanded) {
		tr.change("u", func(b *Baton) { b.hear(e) })
	}
	<-w.wake
	text, err := tr.unseen(w)
	require.NoError(t, err)
	var batons []Baton
	require.NoError(t, json.Unmarshal(text, &batons))
	require.Len(t, batons, 1)
	require.Equal(t, "expanded", batons[0].Fact)
	text, err = tr.unseen(w)
	require.NoError(t, err)
	require.Nil(t, text)
	tr.leave(w)
	require.Empty(t, tr.watchers)
}

func TestTrackForgetsTheOldestThatEnded(t *testing.T) {
	t.Parallel()
	tr := newTrack()
	began := time.Now()
	for i := range keep + 10 {
		tr.change(fmt.Sprint(i), func(b *Baton) {
			b.Created = began.Add(time.Duration(i) * time.Second)
			if i != 0 { // the very oldest is still under way
				b.Outcome = "Successful"
			}
		})
	}
	require.Len(t, tr.batons, keep)
	require.Contains(t, tr.batons, "0")
	require.NotContains(t, tr.batons, "1")
}

func TestPageIsGuarded(t *testing.T) {
	t.Parallel()
	token := "old"
	b := &Board{cfg: Config{Token: func() (string, error) { return token, nil }}, track: newTrack()}
	get := func(method, path string, header map[string]string) *http.Response {
		request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		for name, value := range header {
			request.Header.Set(name, value)
		}
		recorder := httptest.NewRecorder()
		b.Handler().ServeHTTP(recorder, request)
		return recorder.Result()
	}
	token = "" // a file that was emptied lets nobody in
	require.Equal(t, http.StatusUnauthorized, get(http.MethodGet, "/", map[string]string{"Authorization": "Bearer "}).StatusCode)
	token = "secret" // changed while it runs
	refused := get(http.MethodGet, "/", nil)
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	require.Equal(t, http.StatusUnauthorized, get(http.MethodGet, "/batons", map[string]string{"Authorization": "Bearer wrong"}).StatusCode)
	require.Equal(t, http.StatusUnauthorized, get(http.MethodGet, "/plan/demo/grow", nil).StatusCode)

	page := get(http.MethodGet, "/", map[string]string{"Authorization": "Bearer secret"})
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, http.StatusOK, get(http.MethodGet, "/board.js", map[string]string{"Authorization": "Basic YW55Ym9keTpzZWNyZXQ="}).StatusCode)
	require.Equal(t, http.StatusMethodNotAllowed, get(http.MethodPost, "/", map[string]string{"Authorization": "Bearer secret"}).StatusCode)
}

// Without a token a page of another site would read everything, by a name of its own
// for this machine; with one it lacks the token.
func TestD16_TheBoardWithoutATokenAnswersToThisMachineOnly(t *testing.T) {
	t.Parallel()
	code := func(b *Board, host, path string) int {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		request.Host = host
		request.Header.Set("Authorization", "Bearer secret")
		recorder := httptest.NewRecorder()
		b.Handler().ServeHTTP(recorder, request)
		return recorder.Code
	}
	open := &Board{track: newTrack()}
	for _, path := range []string{"/", "/board.js", "/batons", "/plan/demo/grow"} {
		require.Equal(t, http.StatusMisdirectedRequest, code(open, "evil.example:8090", path), path)
	}
	require.Equal(t, http.StatusOK, code(open, "localhost:8090", "/"))
	guarded := &Board{cfg: Config{Token: func() (string, error) { return "secret", nil }}, track: newTrack()}
	require.Equal(t, http.StatusOK, code(guarded, "board.example.com", "/"))
}

// The stream begins with everything, goes on with what changes, and ends when the
// visitor leaves.
func TestStream(t *testing.T) {
	t.Parallel()
	b := &Board{track: newTrack()}
	server := httptest.NewServer(b.Handler())
	defer server.Close()
	all := chain("u", events.Requested, events.Paused)
	b.track.change("u", func(baton *Baton) { baton.hear(all[0]) })

	ctx, leave := context.WithTimeout(t.Context(), time.Minute)
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/batons", nil)
	require.NoError(t, err)
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	read := func() string {
		buffer := make([]byte, 64<<10)
		n, err := response.Body.Read(buffer)
		require.NoError(t, err)
		return string(buffer[:n])
	}
	require.Contains(t, read(), `"fact":"requested"`)
	b.track.change("u", func(baton *Baton) { baton.hear(all[1]) })
	text := read()
	require.True(t, strings.HasPrefix(text, "event: batons\ndata: ["), text)
	require.Contains(t, text, `"fact":"paused"`)
	leave()
	require.Eventually(t, func() bool {
		b.track.mu.Lock()
		defer b.track.mu.Unlock()
		return len(b.track.watchers) == 0
	}, time.Minute, 10*time.Millisecond)
}
