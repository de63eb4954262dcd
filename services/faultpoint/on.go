// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

//go:build faultpoints

package faultpoint

import (
	"fmt"
	"os"
	ossignal "os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// file is where the fault is read from.
var file = filepath.Join(os.Getenv("OPSRELAY_FAULTPOINTS"), command())

// command is what the process was started to do.
func command() string {
	if len(os.Args) < 2 {
		return "none"
	}
	return os.Args[1]
}

// state is how far the process is on its way to its fault.
var state struct {
	sync.Mutex

	armed string
	hits  int
	lost  map[uint64]bool
}

// At is the place of that name.
func At(when, what string) {
	name := strings.TrimSpace(when + " " + what)
	trace(name)
	point, fault, ok := strings.Cut(armed(), "=")
	if !ok {
		return
	}
	point, count, _ := strings.Cut(point, "#")
	if point != name {
		return
	}
	if nth, err := strconv.Atoi(count); err != nil || nth != hit() {
		return
	}
	act(name, fault)
}

// Loses reports whether what is to be sent gets lost on the way: once for each
// number.
func Loses(what string, number uint64) bool {
	if armed() != what+"=lose" {
		return false
	}
	state.Lock()
	defer state.Unlock()
	if state.lost[number] {
		return false
	}
	if state.lost == nil {
		state.lost = map[uint64]bool{}
	}
	state.lost[number] = true
	return true
}

// armed is the line of the file. The count starts over with each other line.
func armed() string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line := strings.TrimSpace(string(data))
	state.Lock()
	defer state.Unlock()
	if line != state.armed {
		state.armed, state.hits = line, 0
	}
	return line
}

func hit() int {
	state.Lock()
	defer state.Unlock()
	state.hits++
	return state.hits
}

// act does what is to be done, once: the file goes first, so that neither
// another process nor this one, restarted, does it again.
func act(name, fault string) {
	if os.Remove(file) != nil {
		return
	}
	fmt.Fprintf(os.Stderr, "{\"faultpoint\":%q,\"fault\":%q}\n", name, fault)
	switch kind, duration, _ := strings.Cut(fault, " "); kind {
	case "kill":
		signal(syscall.SIGKILL)
		select {}
	case "freeze":
		// The signal may reach another thread first: this one goes no further before
		// the process is thawed.
		thawed := make(chan os.Signal, 1)
		ossignal.Notify(thawed, syscall.SIGCONT)
		signal(syscall.SIGSTOP)
		<-thawed
		ossignal.Stop(thawed)
	case "delay":
		d, err := time.ParseDuration(duration)
		if err != nil {
			panic(err)
		}
		time.Sleep(d) // it is the fault
	default:
		panic("unknown fault " + fault)
	}
}

func signal(s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		panic(err)
	}
}

// trace tells who listens that the process has come to the point.
func trace(name string) {
	out, err := os.OpenFile(file+".trace", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return // nobody listens
	}
	defer func() { _ = out.Close() }()
	_, _ = out.WriteString(name + "\n")
}
