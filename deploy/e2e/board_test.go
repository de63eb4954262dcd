// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/services/board"
	"github.com/opsrelay/opsrelay/services/board/boardtest"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// A person looks at the board while volumes grow.
func TestBoardLive(t *testing.T) {
	b := setup(t)
	bus, err := b.stack.Connect(b.ctx, "board")
	require.NoError(t, err)
	page, err := board.New(board.Config{Client: b.client, Core: b.core, JetStream: bus.JetStream(), Namespace: b.namespace, Since: time.Hour})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(b.ctx)
	var running errgroup.Group
	running.Go(func() error { return page.Run(ctx) })
	server := httptest.NewServer(page.Handler())
	t.Cleanup(func() {
		server.CloseClientConnections() // the page's stream
		server.Close()
		stop()
		require.NoError(t, running.Wait())
		require.NoError(t, bus.Close(context.WithoutCancel(b.ctx)))
	})
	browser := boardtest.Open(t, server.URL)
	browser.Screenshot("board-empty")

	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	b.create(fixture.Expansion("grow", "sdb", fixture.Guide))
	browser.Wait(`document.querySelector(".baton.at1") !== null`)
	browser.Wait(`document.querySelector(".bars").textContent.includes("leaf 10Gi to 11Gi  1/2")`)
	b.create(fixture.Expansion("later", "sdb", fixture.Sizes{Leaf: "12Gi"}))
	browser.Wait(`document.querySelector(".waiting .why")?.textContent.startsWith("Queued: ") === true`)
	browser.Screenshot("board-live")
	browser.Do(chromedp.Click(chromedp.CSS(".waiting")), chromedp.WaitVisible(chromedp.CSS("#plan")))
	require.Equal(t, "Plan: Waits", boardtest.Value[string](browser, `document.querySelector("#plan-title").textContent`))
	require.Contains(t, boardtest.Value[string](browser, `document.querySelector("#plan-findings").textContent`), "Waiting: Queued")
	require.Equal(t, 2, boardtest.Value[int](browser, `document.querySelectorAll("#volumes tbody tr").length`), "of a request that has not begun")
	browser.Screenshot("board-plan")
	browser.Do(chromedp.KeyEvent(kb.Escape), chromedp.WaitNotVisible(chromedp.CSS("#detail")))

	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("grow").Status.Phase)
	require.Equal(t, kubedb.OpsSuccessful, b.ended("later").Status.Phase)
	browser.Wait(`document.querySelectorAll(".baton.done.at4").length === 2`)
	browser.Screenshot("board-done")
}
