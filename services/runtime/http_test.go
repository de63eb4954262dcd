// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bufio"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestD16_OnlyThisMachineIsAnswered(t *testing.T) {
	t.Parallel()
	handler := LocalOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }), "Give a token.")
	for host, want := range map[string]int{
		"127.0.0.1": http.StatusOK, "127.0.0.1:8090": http.StatusOK, "127.8.8.8:1": http.StatusOK, "[::1]": http.StatusOK, "[::1]:8090": http.StatusOK,
		"localhost": http.StatusOK, "LOCALHOST:9999": http.StatusOK, "localhost.": http.StatusOK,
		"evil.example": http.StatusMisdirectedRequest, "evil.example:8090": http.StatusMisdirectedRequest, "": http.StatusMisdirectedRequest,
		"localhost.evil.example": http.StatusMisdirectedRequest, "127.0.0.1.nip.io": http.StatusMisdirectedRequest, "10.0.0.1:8090": http.StatusMisdirectedRequest,
		"0.0.0.0:8090": http.StatusMisdirectedRequest, "[::ffff:10.0.0.1]:80": http.StatusMisdirectedRequest,
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.Host = host
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		require.Equal(t, want, recorder.Code, host)
		if want != http.StatusOK {
			require.Contains(t, recorder.Body.String(), "ask for it as localhost or 127.0.0.1")
			require.Contains(t, recorder.Body.String(), "Give a token.")
		}
	}
}

// Probes and metrics, and profiles above all, are no one else's where they listen on
// this machine alone.
func TestD16_ProbesOfThisMachineAreNotReadByAnotherName(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- NewHealth().Serve(ctx, listener, prometheus.NewRegistry()) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for host, want := range map[string]int{"": http.StatusOK, "evil.example": http.StatusMisdirectedRequest} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/metrics", nil)
		require.NoError(t, err)
		request.Host = host
		response, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, host)
	}
	stop()
	require.NoError(t, <-served)
}

// A connection on which nothing is asked any more is closed, a stream is not.
func TestD16_IdleConnectionsAreClosedAndStreamsLiveOn(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	server := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/stream" {
			<-goOn
			_, _ = io.WriteString(w, "last\n")
		}
	}))
	require.Positive(t, server.ReadHeaderTimeout)
	require.Positive(t, server.IdleTimeout)
	require.Zero(t, server.WriteTimeout, "it would end every stream")
	server.IdleTimeout, server.ReadHeaderTimeout = 50*time.Millisecond, 50*time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	open := func(send string) net.Conn {
		conn, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(conn, send)
		require.NoError(t, err)
		return conn
	}
	stream := open("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for _, conn := range []net.Conn{
		open("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), // answered, and then silent
		open("GET / HTTP/1.1\r\nHost: loc"),               // never goes on
	} {
		_, err := io.ReadAll(conn) // until the server closes it
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	close(goOn)
	response, err := http.ReadResponse(bufio.NewReader(stream), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "first\nlast\n", string(body))
	require.NoError(t, response.Body.Close())
	require.NoError(t, stream.Close())
	require.NoError(t, server.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
}

// Every server of the project has timeouts, whoever adds one.
func TestD16_EveryServerHasTimeouts(t *testing.T) {
	t.Parallel()
	servers := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.CompositeLit:
				if isHTTP(node.Type, "Server") {
					servers++
					require.Subset(t, fields(node), []string{"ReadHeaderTimeout", "IdleTimeout"}, files.Position(node.Pos()).String())
				}
			case *ast.CallExpr:
				for _, name := range []string{"ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS"} {
					require.False(t, isHTTP(node.Fun, name), "%s: http.%s has no timeouts: use runtime.NewServer", files.Position(node.Pos()), name)
				}
			}
			return true
		})
		return nil
	}))
	require.GreaterOrEqual(t, servers, 2)
}

// isHTTP tells whether an expression is that name of package http.
func isHTTP(expression ast.Expr, name string) bool {
	selector, ok := expression.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	pkg, ok := selector.X.(*ast.Ident)
	return ok && pkg.Name == "http"
}

func fields(literal *ast.CompositeLit) []string {
	var names []string
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.Ident); ok {
				names = append(names, key.Name)
			}
		}
	}
	return names
}
