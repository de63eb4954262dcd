// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"crypto/subtle"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/opsrelay/opsrelay/services/runtime"
)

//go:embed web
var web embed.FS

// policy lets the page load its own script and style and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at /, its parts, the batons as server-sent events at
// /batons, and the plan of a request as JSON at /plan/NAMESPACE/NAME. It answers
// GET and HEAD only, and without a token only who asks for this machine
// ([runtime.LocalOnly]).
func (b *Board) Handler() http.Handler {
	pages, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // it is embedded under that name
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(pages))
	mux.HandleFunc("GET /batons", b.stream)
	mux.HandleFunc("GET /plan/{namespace}/{name}", b.plan)
	if b.cfg.Token == nil { // nothing but the name keeps the pages of other sites out
		return b.guard(runtime.LocalOnly(mux, "To serve it by another name, give a --token-file."))
	}
	return b.guard(mux)
}

// guard sets the headers that keep a page safe, and asks for the token.
func (b *Board) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !b.admits(r) {
			header.Set("WWW-Authenticate", `Basic realm="opsrelay board: any user, the token as password", charset="UTF-8"`)
			http.Error(w, "the board asks for its token: as a bearer token, or as the password of any user", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admits reports whether the visitor knows the token. A browser cannot send a
// bearer token by itself, but asks for a password.
func (b *Board) admits(r *http.Request) bool {
	if b.cfg.Token == nil {
		return true
	}
	token, err := b.cfg.Token()
	if err != nil || token == "" {
		zerolog.Ctx(r.Context()).Warn().Err(err).Msg("nobody is let in: there is no token")
		return false
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, given, _ = r.BasicAuth()
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}

// The rhythm of the stream: no picture sooner than a frame after the last, and a
// comment now and then, so that nobody in between takes it for dead.
const (
	frame     = 100 * time.Millisecond
	keepAlive = 20 * time.Second
	// takeTimeout is how long a visitor may take for one picture.
	takeTimeout = time.Minute
)

// stream sends every baton, then each that changes, until the visitor leaves.
func (b *Board) stream(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	watcher := b.track.watch()
	defer b.track.leave(watcher)
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		text := ": alive\n\n"
		select {
		case <-r.Context().Done():
			return
		case <-alive.C:
		case <-watcher.wake:
			batons, err := b.track.unseen(watcher)
			if err != nil {
				return
			}
			if batons == nil {
				continue
			}
			text = fmt.Sprintf("event: batons\ndata: %s\n\n", batons)
		}
		_ = out.SetWriteDeadline(time.Now().Add(takeTimeout)) // where there is a connection
		if _, err := w.Write([]byte(text)); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-time.After(frame):
		case <-r.Context().Done():
			return
		}
	}
}
