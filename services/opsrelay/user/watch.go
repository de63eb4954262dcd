// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/runtime"
)

func watchCommand() *cobra.Command {
	var (
		where *cluster
		nats  *broker
		until bool
	)
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show requests live, a line each, with a bar for each component",
		Long: `Watch shows every request and keeps its line up to date: phase, step, how many
volumes of each component have grown, and what it waits for. On a terminal the lines
stay in place; into a pipe each change is a line. Without NATS there are no bars.`,
		Example: "  opsrelay watch -A\n  opsrelay watch -n demo --until-done | tee expansion.log",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, err := where.clients()
			if err != nil {
				return err
			}
			namespace, err := where.namespace()
			if err != nil {
				return err
			}
			return show(cmd, newScene(), clients, namespace, nats, until)
		},
	}
	where, nats = newCluster(cmd.Flags()), newBroker(cmd.Flags())
	where.addAllNamespaces(cmd.Flags())
	cmd.Flags().BoolVar(&until, "until-done", false, "end when no request is under way; exit code 2 if one failed")
	return cmd
}

// show runs the sources of the scene, and draws it, until interrupted or done.
func show(cmd *cobra.Command, s *scene, clients runtime.Clients, namespace string, nats *broker, until bool) error {
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	informer := clients.KubeDB.SinglestoreOpsRequestInformer(namespace)
	if _, err := informer.AddEventHandler(handlers(s)); err != nil {
		return fmt.Errorf("watch requests: %w", err)
	}
	group.Go(func() error { informer.RunWithContext(ctx); return nil })
	group.Go(func() error {
		err := nats.do(ctx, func(ctx context.Context, b *bus.Bus) error {
			return events.FollowProgress(ctx, b.JetStream(), s.progress)
		})
		if err != nil && ctx.Err() == nil {
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "no bars: %v\n", err)
		}
		return nil
	})
	var failed bool
	group.Go(func() error {
		defer stop()
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return nil
		}
		failed = draw(ctx, cmd.OutOrStdout(), s, until)
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if until && failed {
		return &ExitError{Code: ExitFailed, Message: "a request did not succeed"}
	}
	return nil
}

func handlers(s *scene) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.put(o.(*kubedb.SinglestoreOpsRequest)) },
		UpdateFunc: func(_, o any) { s.put(o.(*kubedb.SinglestoreOpsRequest)) },
		DeleteFunc: func(o any) {
			if namespace, name, err := cache.SplitMetaNamespaceKey(keyOf(o)); err == nil {
				s.remove(namespace, name)
			}
		},
	}
}

func keyOf(o any) string {
	key, _ := cache.DeletionHandlingMetaNamespaceKeyFunc(o) // an informer's own objects have one
	return key
}

// frame is the shortest time between two pictures: a person sees no more, and a
// storm of changes costs no more.
const frame = 100 * time.Millisecond

// draw draws the scene at each change until the context ends, or until no request
// is under way. It reports whether one of them did not succeed.
func draw(ctx context.Context, out io.Writer, s *scene, until bool) (failed bool) {
	d := &drawing{out: out, inPlace: isTerminal(out), last: map[string]string{}}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		d.draw(s)
		underWay := false
		failed = false
		s.mu.Lock()
		for _, r := range s.requests {
			underWay = underWay || r.Step != string(kubedb.StepDone)
			failed = failed || r.Step == string(kubedb.StepDone) && r.Phase != string(kubedb.OpsSuccessful)
		}
		s.mu.Unlock()
		if until && !underWay {
			return failed
		}
		next.Reset(frame)
		select {
		case <-next.C:
		case <-ctx.Done():
			return failed
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return failed
		}
	}
}

// drawing is what was drawn last.
type drawing struct {
	out     io.Writer
	inPlace bool
	last    map[string]string
	height  int
}

func (d *drawing) draw(s *scene) {
	lines := s.lines()
	if d.inPlace && d.height > 0 {
		_, _ = fmt.Fprintf(d.out, "\x1b[%dA\x1b[J", d.height)
	}
	d.height = 0
	for _, key := range s.order() {
		line, ok := lines[key]
		if !ok || !d.inPlace && d.last[key] == line {
			continue
		}
		d.last[key] = line
		if d.inPlace {
			line = cut(line, d.out)
		}
		_, _ = fmt.Fprintln(d.out, line) // the caller's terminal
		d.height++
	}
}

// cut shortens a line to the width of the terminal: one that breaks would not be
// drawn over.
func cut(line string, out io.Writer) string {
	file, ok := out.(*os.File)
	if !ok {
		return line
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if runes := []rune(line); err == nil && len(runes) > width {
		return string(runes[:width])
	}
	return line
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
