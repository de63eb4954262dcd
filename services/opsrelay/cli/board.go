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
)

// headerTimeout bounds a visitor's request, so that none holds a connection for
// nothing.
const headerTimeout = 10 * time.Second

func boardService() service {
	var (
		config    board.Config
		address   string
		tokenFile string
	)
	return service{
		name: "board", group: user.Group, needsBus: true,
		short: "Serve a web page that shows every request on the relay's track",
		long: `The board serves a web page on which every request is a baton on the relay's track,
live: steps, volumes, what it waits for, and its timeline. It reads requests, facts
and progress, writes nothing and sees no secret. It listens on this machine alone
unless told otherwise; then give it a token, which a browser asks for as the
password of any user, and put TLS in front.`,
		example: "  opsrelay board --nats-url nats://nats:4222   # http://127.0.0.1:8090",
		addFlags: func(flags *pflag.FlagSet) {
			flags.StringVar(&address, "listen", "127.0.0.1:8090", "address of the page")
			flags.StringVar(&tokenFile, "token-file", "", "file with the token that visitors must know")
			flags.DurationVar(&config.Since, "since", 7*24*time.Hour, "how far back the history goes")
		},
		run: func(ctx context.Context, env environment) error {
			config.Client, config.JetStream, config.Namespace = env.clients.KubeDB, env.bus.JetStream(), env.namespace
			if tokenFile != "" {
				token, err := os.ReadFile(tokenFile)
				if err != nil {
					return fmt.Errorf("--token-file: %w", err)
				}
				if config.Token = strings.TrimSpace(string(token)); config.Token == "" {
					return fmt.Errorf("--token-file: %s is empty", tokenFile)
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

// serve serves until the context ends. Streams end with it: their requests'
// contexts are its children.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
