// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/client-go/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSetFromEnvironment(t *testing.T) {
	t.Setenv("OPSRELAY_NATS_URL", "nats://environment")
	t.Setenv("OPSRELAY_LOG_LEVEL", "debug")
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	url := flags.String("nats-url", "nats://default", "")
	level := flags.String("log-level", "info", "")
	other := flags.String("other", "default", "")
	require.NoError(t, flags.Parse([]string{"--log-level=warn"}))
	require.NoError(t, SetFromEnvironment(flags))
	require.Equal(t, "nats://environment", *url)
	require.Equal(t, "warn", *level, "the command line goes before the environment")
	require.Equal(t, "default", *other)

	t.Setenv("OPSRELAY_COUNT", "many")
	flags.Int("count", 1, "")
	require.ErrorContains(t, SetFromEnvironment(flags), "OPSRELAY_COUNT")
}

func TestLogging(t *testing.T) {
	var out bytes.Buffer
	logger, err := Logging{Level: "info", Format: "json"}.Logger(&out, "pauser")
	require.NoError(t, err)
	logger.Debug().Msg("unseen")
	logger.Info().Msg("seen")
	require.NotContains(t, out.String(), "unseen")
	require.Contains(t, out.String(), `"service":"pauser"`)

	_, err = Logging{Level: "loud", Format: "json"}.Logger(&out, "pauser")
	require.ErrorContains(t, err, "--log-level")
	_, err = Logging{Level: "info", Format: "xml"}.Logger(&out, "pauser")
	require.ErrorContains(t, err, "--log-format")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	health, registry := NewHealth(), prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "opsrelay_test", Help: "A test."}, func() float64 { return 1 }))
	synced := false
	health.ReadyWhen("watch", func() bool { return synced }, "requests are not listed yet")
	health.Ready("nats", func() error { return nil })
	dead := errors.New("the loop stands still")
	var liveness error
	health.Live("loop", func() error { return liveness })

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- health.Serve(ctx, listener, registry) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		response, err := client.Get("http://" + listener.Addr().String() + path)
		require.NoError(t, err)
		defer func() { require.NoError(t, response.Body.Close()) }()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}

	code, body := get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "watch: requests are not listed yet\n", body)
	synced = true
	code, _ = get("/readyz")
	require.Equal(t, http.StatusOK, code)
	code, _ = get("/livez")
	require.Equal(t, http.StatusOK, code)
	liveness = dead
	code, body = get("/livez")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "the loop stands still")
	_, body = get("/metrics")
	require.Contains(t, body, "opsrelay_test 1")

	cancel()
	require.NoError(t, <-served)
}

func TestServiceConfig(t *testing.T) {
	t.Parallel()
	config := &rest.Config{Host: "https://example"}
	service := ServiceConfig(config, "pauser", "system:serviceaccount:opsrelay:pauser")
	require.Equal(t, "system:serviceaccount:opsrelay:pauser", service.Impersonate.UserName)
	require.Contains(t, service.UserAgent, "opsrelay-pauser/")
	require.Negative(t, service.QPS, "the client's side does not throttle")
	require.Empty(t, config.Impersonate.UserName, "the caller's configuration is left alone")
}
