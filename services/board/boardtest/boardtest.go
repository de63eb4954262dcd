// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package boardtest opens a board's page in a real browser without a window.
package boardtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/notrun"
)

// Patience is how long a test waits for what a browser shows at once.
const Patience = 2 * time.Minute

// Browser is one tab.
type Browser struct {
	testing.TB

	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// Open opens the page in a tab of its own, which is closed with the test. A
// browser that complains, of a forbidden script for one, fails the test. Where
// there is no Chromium, or one that does not start, the test is skipped.
func Open(t testing.TB, url string) *Browser {
	t.Helper()
	notrun.SkipShort(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(Patience))
	allocated, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	timed, cancelTimeout := context.WithTimeout(allocated, 2*Patience)
	ctx, cancel := chromedp.NewContext(timed)
	b := &Browser{TB: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		cancelTimeout()
		cancelAllocator()
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Empty(t, b.complaints, "the browser complains")
	})
	if err := chromedp.Do(ctx); err != nil { // starts it
		missing(t, fmt.Sprintf("Chromium does not start: %v", err))
	}
	require.NoError(t, chromedp.Listen(ctx, b.listen))
	b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{})
		return err
	}), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#connection.live")))
	return b
}

// chromium is the browser's path.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "there is no Chromium")
	return ""
}

// missing skips the test, unless this is where it has to run.
func missing(t testing.TB, what string) {
	t.Helper()
	const command = "apt-get install chromium"
	if os.Getenv("OPSRELAY_BROWSER") == "required" {
		t.Fatalf("%s, and OPSRELAY_BROWSER=required asks for it: %s", what, command)
	}
	notrun.Skip(t, what, command)
}

func (b *Browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError {
			b.complaints = append(b.complaints, event.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, event.ExceptionDetails.Text)
	}
}

// Do runs actions on the page.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	require.NoError(b, chromedp.Do(b.ctx, actions...))
}

// Value is what a script's expression is.
func Value[T any](b *Browser, expression string) T {
	b.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(b, err)
	return value
}

// Wait waits until a script's expression is true.
func (b *Browser) Wait(expression string) {
	b.Helper()
	b.Do(chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(Patience)))
}

// Dark has the browser ask for dark colours.
func (b *Browser) Dark() {
	b.Helper()
	b.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		return err
	}))
}

// Screenshot keeps a picture of the window in the folder artifacts at the root of
// the repository, for people.
func (b *Browser) Screenshot(name string) {
	b.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b, err)
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	require.NoError(b, err)
	directory := filepath.Join(string(root[:len(root)-1]), "artifacts")
	require.NoError(b, os.MkdirAll(directory, 0o750))
	require.NoError(b, os.WriteFile(filepath.Join(directory, name+".png"), picture, 0o600))
}
