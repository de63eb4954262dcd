// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/opsrelay/opsrelay/services/board"
	"github.com/opsrelay/opsrelay/services/opsrelay/user"
	"github.com/opsrelay/opsrelay/services/runtime"
)

func boardService() service {
	var (
		config    board.Config
		address   string
		tokenFile string
	)
	return service{
		name: "board", group: user.Group, needsBus: true, withoutProbes: true,
		short: "Serve a web page that shows every request on the relay's track",
		long: `The board serves a web page on which every request is a baton on the relay's track,
live: steps, volumes, what it waits for, its plan and its timeline. It reads requests,
facts and progress, and for a plan what opsrelay plan reads; a plan says what the
board has no right to look at. It writes nothing and sees no secret.

It listens on this machine alone unless told otherwise, and then answers to no name
but localhost and the machine's own addresses; elsewhere it listens only with a token, which visitors send as a bearer token, or as the password of any user, which a
browser asks for. Put TLS in front, and for a sign-in by OIDC a proxy that hands the
token on. The token is read again when its file changes.`,
		example: `  opsrelay board --nats-url nats://nats:4222   # http://127.0.0.1:8090
  opsrelay board --listen :8090 --http-address :8080 --token-file /etc/opsrelay/board/token`,
		addFlags: func(flags *pflag.FlagSet) {
			flags.StringVar(&address, "listen", "127.0.0.1:8090", "address of the page")
			flags.StringVar(&tokenFile, "token-file", "", "file with the token that visitors must know; needed where --listen is not this machine alone")
			flags.DurationVar(&config.Since, "since", 7*24*time.Hour, "how far back the history goes")
			config.Policy.AddFlags(flags)
		},
		run: func(ctx context.Context, env environment) error {
			if err := checkListen(address, tokenFile); err != nil {
				return err
			}
			config.Client, config.Core, config.JetStream = env.clients.KubeDB, env.clients.Core, env.bus.JetStream()
			config.Namespace = env.namespace
			if tokenFile != "" {
				config.Token = func() (string, error) { return readToken(tokenFile) }
				if _, err := config.Token(); err != nil {
					return err
				}
			}
			b, err := board.New(config)
			if err != nil {
				return err
			}
			env.health.ReadyWhen("watch", b.HasSynced, "requests are not listed yet")
			listener, err := net.Listen("tcp", address)
			if err != nil {
				return fmt.Errorf("--listen: %w", err)
			}
			zerolog.Ctx(ctx).Info().Str("page", "http://"+listener.Addr().String()).Msg("serving the board")
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return b.Run(ctx) })
			group.Go(func() error { return serve(ctx, listener, b.Handler()) })
			return group.Wait()
		},
	}
}

// checkListen refuses to let everybody in from elsewhere.
func checkListen(address, tokenFile string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() || tokenFile != "" {
		return nil
	}
	return fmt.Errorf("--listen %s can be reached from elsewhere: give a --token-file, or listen on 127.0.0.1", address)
}

// readToken reads the token that visitors must know.
func readToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("--token-file: %s is empty", file)
	}
	return token, nil
}

// serve serves until the context ends. Streams end with it: their requests'
// contexts are its children.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := runtime.NewServer(handler)
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
