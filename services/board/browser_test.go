// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/board/boardtest"
)

// A thousand requests are found, opened and left by keyboard, at night and on a
// phone, while all of them change.
func TestPageWithAThousandRequests(t *testing.T) {
	t.Parallel()
	b := &Board{track: newTrack()}
	server := httptest.NewServer(b.Handler())
	t.Cleanup(server.Close)
	began := time.Now().Add(-time.Hour)
	tell := func(i int, e events.Event) {
		e.Time = began.Add(time.Duration(i) * time.Second)
		b.track.change(e.Operation.Request.UID, func(baton *Baton) { baton.hear(e) })
	}
	const requests = 1000
	for i := range requests {
		for _, e := range chain(fmt.Sprint(i), events.Requested, events.Paused) {
			tell(i, e)
		}
	}
	page := boardtest.Open(t, server.URL)
	page.Wait(`document.querySelector("#summary").textContent === "1000 of 1000 shown. In all 1000 under way, 0 waiting, 0 successful, 0 failed or cancelled"`)
	require.Equal(t, "demo/grow-999", boardtest.Value[string](page, `document.querySelector("#requests .name").textContent`), "the newest is first")
	page.Screenshot("board-thousand")

	page.Do(chromedp.Evaluate[chromedp.Void](`window.longest = 0;
		new PerformanceObserver((list) => { for (const task of list.getEntries()) longest = Math.max(longest, task.duration); }).observe({ type: "longtask" })`))
	for i := range requests { // all change at once
		tell(i, chain(fmt.Sprint(i), events.Requested, events.Paused, events.Expanded)[2])
	}
	page.Wait(`document.querySelectorAll(".at2").length === 1000`)
	require.Equal(t, requests, boardtest.Value[int](page, `document.querySelectorAll("#requests li").length`), "no element twice")
	t.Logf("longest time in which the page could not answer its visitor: %.0f ms", boardtest.Value[float64](page, `longest`))

	page.Do(chromedp.KeyEvent("/"))
	page.Wait(`document.activeElement.id === "text"`)
	page.Do(chromedp.KeyEvent("grow-77"))
	page.Wait(`document.querySelector("#summary").textContent.startsWith("11 of 1000 shown")`)
	page.Do(chromedp.KeyEvent(kb.Tab+kb.Tab+kb.Enter), chromedp.WaitVisible(chromedp.CSS("#detail")))
	require.Equal(t, "demo/grow-779: expanded", boardtest.Value[string](page, `document.querySelector("#detail-title").textContent`))
	require.Equal(t, 3, boardtest.Value[int](page, `document.querySelectorAll("#timeline tbody tr").length`))
	require.Equal(t, 2, boardtest.Value[int](page, `document.querySelectorAll("#volumes tbody tr").length`))
	page.Screenshot("board-detail")
	page.Do(chromedp.KeyEvent(kb.Escape), chromedp.WaitNotVisible(chromedp.CSS("#detail")))
	require.Equal(t, "#779", boardtest.Value[string](page, `document.activeElement.getAttribute("href")`), "back to where the visitor was")

	light := boardtest.Value[string](page, `getComputedStyle(document.body).backgroundColor`)
	page.Dark()
	require.NotEqual(t, light, boardtest.Value[string](page, `getComputedStyle(document.body).backgroundColor`))
	page.Screenshot("board-dark")
	page.Do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	require.LessOrEqual(t, boardtest.Value[int](page, `document.documentElement.scrollWidth`), 360, "nothing stands out at the side")
	page.Screenshot("board-phone")
}

// What comes from outside is text, never a part of the page.
func TestPageTakesNamesAsText(t *testing.T) {
	t.Parallel()
	b := &Board{track: newTrack()}
	server := httptest.NewServer(b.Handler())
	t.Cleanup(server.Close)
	e := chain("x", events.Requested, events.Failed)[1]
	e.Operation.Failure = &events.Failure{Step: "expand", Object: "claim", Reason: "Infeasible", Message: `<img src=x onerror="document.title='owned'">`}
	b.track.change("x", func(baton *Baton) { baton.hear(e) })
	page := boardtest.Open(t, server.URL)
	page.Wait(`document.querySelector(".failed .why") !== null`)
	require.Contains(t, boardtest.Value[string](page, `document.querySelector(".why").textContent`), "<img src=x")
	require.Zero(t, boardtest.Value[int](page, `document.querySelectorAll(".why img").length`))
	require.Equal(t, "Opsrelay board", boardtest.Value[string](page, `document.title`))
}
