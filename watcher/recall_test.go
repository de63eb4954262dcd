// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// A consumer that is recreated tells all that the broker keeps, 30 days of facts:
// the API server is asked nothing for them, and no event comes back.
func TestD06_ARecreatedConsumerAsksTheAPIServerNothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		asked.Add(1)
		t.Logf("%s %s", request.Method, request.URL)
		http.NotFound(answer, request)
	}))
	t.Cleanup(api.Close)
	client, err := kubedb.NewClient(&rest.Config{Host: api.URL})
	require.NoError(t, err)
	core, err := kubernetes.NewForConfig(&rest.Config{Host: api.URL})
	require.NoError(t, err)
	b, ctx := bustest.Connect(t, "watcher"), bustest.Context(t)
	w, err := New(Config{Client: client, Core: core, Chain: b.Chain("watcher"), Workers: 1})
	require.NoError(t, err)

	facts := 0
	for i := range 60 {
		uid := fmt.Sprintf("u%d", i)
		list := chain(events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed)
		for _, e := range list {
			e = e.At(time.Now().Add(-time.Duration(i+2) * time.Hour))
			e.Operation.Request.Name, e.Operation.Request.UID, e.Source = uid, uid, "watcher"
			message, err := events.Encode(e)
			require.NoError(t, err)
			_, err = b.JetStream().PublishMsg(ctx, message)
			require.NoError(t, err)
			facts++
		}
		if i%3 == 0 { // the others were deleted long ago
			request := &kubedb.SinglestoreOpsRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: uid, UID: types.UID(uid)}}
			request.Status.Phase = kubedb.OpsSuccessful
			require.NoError(t, w.requests.GetStore().Add(request))
		}
	}
	require.NoError(t, b.JetStream().DeleteConsumer(ctx, events.Stream, events.WatcherConsumer.Name))
	require.NoError(t, bus.Provision(ctx, b.JetStream(), 1))

	var handled atomic.Int32
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	runner := b.NewRunner(bus.RunnerConfig{Consumer: events.WatcherConsumer, Source: "watcher", Observer: true,
		Step: bus.StepFunc(func(ctx context.Context, e events.Event, confirm bus.Confirm) (events.Event, error) {
			next, err := w.Handle(ctx, e, confirm)
			if err == nil {
				handled.Add(1)
			}
			return next, err
		})})
	go func() { ended <- runner.Run(running) }()
	require.Eventually(t, func() bool { return int(handled.Load()) == facts }, time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	require.Zero(t, asked.Load(), "requests to the API server")
}
