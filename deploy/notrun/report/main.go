// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Report passes the output of gotestsum on, and lists above its last line what
// was not run, and why:
//
//	gotestsum --jsonfile=LOG ... | report LOG [NOT RUN BESIDES]
//
// Further arguments are lines of the list: what no test can say of itself.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"

	"github.com/opsrelay/opsrelay/deploy/notrun"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: gotestsum --jsonfile=LOG ... | report LOG [NOT RUN BESIDES]")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// summary is the line that gotestsum ends with.
var summary = regexp.MustCompile(`^DONE .*\d+ tests?\b`)

func run(in io.Reader, out io.Writer, log string, besides []string) error {
	last, err := pass(in, out)
	if err != nil {
		return err
	}
	groups, err := read(log)
	if err != nil {
		return err
	}
	if err := notrun.Print(out, groups); err != nil {
		return err
	}
	for _, line := range besides {
		if _, err := fmt.Fprintf(out, "\nNOT RUN: %s\n", line); err != nil {
			return err
		}
	}
	if last != "" {
		_, err = io.WriteString(out, "\n"+last)
	}
	return err
}

// pass copies what comes in as it comes, but for the summary, which it returns.
func pass(in io.Reader, out io.Writer) (last string, err error) {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if summary.MatchString(line) {
			line, last = last, line // what looked like it was a test's
		}
		if _, err := io.WriteString(out, line); err != nil {
			return last, err
		}
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
	}
}

// read reads the log. Without one no test was run, and gotestsum has said why.
func read(log string) ([]notrun.Group, error) {
	file, err := os.Open(log) //nolint:gosec // the runner was told to write there
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return notrun.Read(file)
}
