// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package notrun keeps account of the tests that a machine cannot run: a test
// says what is missing and the command that brings it, and `make test` lists
// both above the test runner's last line.
package notrun

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mark begins the reason of a test that was skipped because something is missing.
const mark = "NOT RUN: "

// runEnv has another value at each `make test`.
const runEnv = "OPSRELAY_TEST_RUN"

// Skip skips a test for want of something, which the command brings:
//
//	notrun.Skip(t, "there is no Chromium", "apt-get install chromium")
func Skip(t testing.TB, missing, command string) {
	t.Helper()
	// go's test cache does not see what is installed outside of the module. A test
	// that has read this variable is not cached from one `make test` to the next.
	_ = os.Getenv(runEnv)
	t.Skip(mark + missing + ": " + command)
}

// SkipShort skips a test with -short, which starts neither the development cluster
// nor a browser nor containers, and builds no program.
func SkipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		Skip(t, "-short leaves out what starts clusters, browsers, containers or builds", "make test")
	}
}

// Group is all that was not run for one reason.
type Group struct {
	// Reason is the text of the skip, without [mark].
	Reason string
	// Tests are the names by package, without the module's path, in the order in
	// which they were skipped.
	Tests map[string][]string
}

// Count is the number of tests.
func (g Group) Count() int {
	n := 0
	for _, tests := range g.Tests {
		n += len(tests)
	}
	return n
}

// event is a line of `go test -json`.
type event struct{ Action, Package, Test, Output string }

// frame matches what the testing package prints around a test's own output;
// place is the file and line before the text of a skip.
var (
	frame = regexp.MustCompile(`^\s*(=== |--- )`)
	place = regexp.MustCompile(`^\s*\S+\.go:\d+: `)
)

// Read groups the tests that were skipped in a stream of `go test -json`, the
// largest group first. A line that is no event is an error.
func Read(log io.Reader) ([]Group, error) {
	output, groups := map[string]string{}, map[string]Group{}
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				return nil, fmt.Errorf("read the log of the tests: %w", err)
			}
			key := e.Package + " " + e.Test
			switch {
			case e.Test == "": // a package, or a build
			case e.Action == "output" && !frame.MatchString(e.Output):
				output[key] += strings.TrimSpace(place.ReplaceAllString(e.Output, "")) + " "
			case e.Action == "skip":
				add(groups, reason(output[key]), e)
				delete(output, key)
			case e.Action == "pass", e.Action == "fail":
				delete(output, key)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the log of the tests: %w", err)
		}
	}
	sorted := make([]Group, 0, len(groups))
	for _, g := range groups {
		sorted = append(sorted, g)
	}
	slices.SortFunc(sorted, func(a, b Group) int {
		if n := b.Count() - a.Count(); n != 0 {
			return n
		}
		return strings.Compare(a.Reason, b.Reason)
	})
	return sorted, nil
}

// reason is a skip's own words: the last that the test printed.
func reason(output string) string {
	output = strings.TrimSpace(output)
	if at := strings.LastIndex(output, mark); at >= 0 {
		return output[at+len(mark):]
	}
	if output == "" {
		return "the test gives no reason"
	}
	return output
}

func add(groups map[string]Group, reason string, e event) {
	g, ok := groups[reason]
	if !ok {
		g = Group{Reason: reason, Tests: map[string][]string{}}
	}
	name := e.Package
	if parts := strings.SplitN(name, "/", 4); len(parts) == 4 { // github.com/owner/module/...
		name = parts[3]
	}
	g.Tests[name] = append(g.Tests[name], e.Test)
	groups[reason] = g
}

// Print lists the groups, and the names of their tests.
func Print(out io.Writer, groups []Group) error {
	if len(groups) == 0 {
		return nil
	}
	var text strings.Builder
	for _, g := range groups {
		noun := "tests"
		if g.Count() == 1 {
			noun = "test"
		}
		fmt.Fprintf(&text, "\nNOT RUN: %d %s: %s\n", g.Count(), noun, g.Reason)
		packages := make([]string, 0, len(g.Tests))
		for name := range g.Tests {
			packages = append(packages, name)
		}
		slices.Sort(packages)
		for _, name := range packages {
			fmt.Fprintf(&text, "  %s: %s\n", name, names(g.Tests[name]))
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// most is how many names of a package are listed.
const most = 12

// names lists tests, those below a common one as a number.
func names(tests []string) string {
	var order []string
	below := map[string]int{}
	for _, test := range tests {
		top, _, isBelow := strings.Cut(test, "/")
		if _, ok := below[top]; !ok {
			order = append(order, top)
			below[top] = 0
		}
		if isBelow {
			below[top]++
		}
	}
	slices.Sort(order)
	for i, top := range order {
		if n := below[top]; n > 0 {
			order[i] = fmt.Sprintf("%s (%d)", top, n)
		}
	}
	if more := len(order) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(order[:most], ", "), more)
	}
	return strings.Join(order, ", ")
}
