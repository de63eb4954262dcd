// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Process is one running service.
type Process struct {
	cmd    *exec.Cmd
	logged int64 // the size of its log when it was started
	done   chan struct{}
	err    error // how it ended; valid when done is closed
}

// stopTimeout is how long a service may take to end.
const stopTimeout = 30 * time.Second

// StartService starts the service of that name with its own identity. Its log is
// appended to what it wrote before. A further replica is named as [Stack.Names]
// does.
func (s *Stack) StartService(name string, args ...string) error {
	log, err := os.OpenFile(s.LogFile(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the process has its own copy
	service, _, _ := strings.Cut(name, ".")
	args = append([]string{
		service, "--kubeconfig", s.Cluster.Kubeconfig, "--as", "system:serviceaccount:opsrelay:" + service,
		"--http-address=", "--log-level=debug", "--namespace", s.options.Namespace,
	}, append(slices.Clone(s.options.Args[service]), args...)...)
	before, err := log.Stat()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{cmd: exec.Command(s.options.Binary, args...), logged: before.Size(), done: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), "OPSRELAY_NATS_URL="+s.NATS), s.options.Environment...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes[name] = p
	return nil
}

// StopService asks a service to end, as Kubernetes does, and waits until it has.
// A service that does not run is stopped already.
func (s *Stack) StopService(name string) error {
	p := s.take(name)
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may be frozen
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop in %s and was killed; its log: %s", name, stopTimeout, s.LogFile(name))
	}
	if p.err != nil && !s.diedUnborn(name, p) {
		return fmt.Errorf("%s ended: %w; its log: %s", name, p.err, s.LogFile(name))
	}
	return nil
}

// diedUnborn tells whether a process was ended by SIGTERM before it had logged a
// word: it had not come to handling signals yet, and had done nothing.
func (s *Stack) diedUnborn(name string, p *Process) bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		return false
	}
	log, err := os.Stat(s.LogFile(name))
	return err == nil && log.Size() == p.logged
}

// KillService ends a service between two of its instructions.
func (s *Stack) KillService(name string) error {
	p := s.take(name)
	if p == nil {
		return fmt.Errorf("kill %s: it does not run", name)
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	<-p.done
	return nil
}

// PID is the process id of a running service, or 0.
func (s *Stack) PID(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.processes[name]; p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// Signal sends a signal to a service: SIGSTOP freezes it, SIGCONT wakes it up.
func (s *Stack) Signal(name string, signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.processes[name]
	if p == nil {
		return fmt.Errorf("signal %s: it does not run", name)
	}
	return p.cmd.Process.Signal(signal)
}

// Died returns a channel that is closed when the service has ended. One that
// ended by itself is to be killed before it is restarted.
func (s *Stack) Died(name string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processes[name].done
}

func (s *Stack) take(name string) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.processes[name]
	delete(s.processes, name)
	return p
}
