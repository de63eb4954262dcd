// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package safely keeps a panic from being the process's end: in one request's work
// it must not stop the work on all the others. A panic becomes an error, a [*Panic],
// in the goroutine that waits.
//
// golang.org/x/sync/errgroup does not recover: a panic in one of its goroutines
// ends the process. What is done for a request uses [Group] instead.
package safely

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// Panic is the error that a panic became.
type Panic struct {
	// Value is what was panicked with.
	Value any
	// Stack is that of the goroutine which panicked.
	Stack []byte
}

// Error implements error. The stack is not in it.
func (p *Panic) Error() string { return fmt.Sprintf("it panicked: %v", p.Value) }

// Do calls f and returns its error, or a [*Panic]. runtime.Goexit passes through.
func Do(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &Panic{Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Group is an [errgroup.Group] whose goroutines may panic: see [Do].
type Group struct{ group *errgroup.Group }

// NewGroup returns a group, and a context that ends with its first error or with
// Wait.
func NewGroup(ctx context.Context) (*Group, context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	return &Group{group: group}, ctx
}

// SetLimit bounds how many goroutines run at once. It is called before the first.
func (g *Group) SetLimit(n int) { g.group.SetLimit(n) }

// Go calls f in a goroutine, once there is a place for it.
func (g *Group) Go(f func() error) { g.group.Go(func() error { return Do(f) }) }

// Wait returns the first error once every goroutine has returned.
func (g *Group) Wait() error { return g.group.Wait() }
