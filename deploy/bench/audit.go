// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// auditLog counts what the services asked of the API server, by the server's own
// audit log.
type auditLog struct {
	path   string
	offset int64
}

// requests counts requests by service, then by verb and resource.
type requests map[string]map[string]int

// auditLine is what is read of a line.
type auditLine struct {
	Verb             string                     `json:"verb"`
	User             struct{ Username string }  `json:"user"`
	ImpersonatedUser *struct{ Username string } `json:"impersonatedUser"`
	ObjectRef        struct{ Resource, Subresource string }
	ResponseStatus   struct{ Code int }
}

// next counts what was asked since it was last called.
func (a *auditLog) next() (requests, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	counts := requests{}
	reader := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return counts, nil // what is half written is the next call's
		}
		a.offset += int64(len(line))
		var entry auditLine
		if err := json.Unmarshal(line, &entry); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		counts.add(entry)
	}
}

func (r requests) add(entry auditLine) {
	user := entry.User.Username
	if entry.ImpersonatedUser != nil {
		user = entry.ImpersonatedUser.Username
	}
	service, ours := strings.CutPrefix(user, "system:serviceaccount:opsrelay:")
	if !ours {
		return
	}
	what := entry.Verb + " " + entry.ObjectRef.Resource
	if entry.ObjectRef.Subresource != "" {
		what += "/" + entry.ObjectRef.Subresource
	}
	if entry.ResponseStatus.Code >= 300 {
		what += fmt.Sprintf(" (%d)", entry.ResponseStatus.Code)
	}
	if r[service] == nil {
		r[service] = map[string]int{}
	}
	r[service][what]++
}

// The classes of requests.
const (
	classRead  = "read"
	classWrite = "write"
	classClaim = "claim"
	classEvent = "event"
	classWatch = "watch"
)

// class is what a request counts as. A write that was refused is a write.
func class(what string) string {
	verb, resource, _ := strings.Cut(what, " ")
	switch {
	case verb == "watch":
		return classWatch
	case verb == "get", verb == "list":
		return classRead
	case resource == "events":
		return classEvent
	case verb == "patch" && resource == "persistentvolumeclaims":
		return classClaim
	default:
		return classWrite
	}
}

// of counts the requests of a class by the given services.
func (r requests) of(wanted string, services []string) int {
	sum := 0
	for _, service := range services {
		for what, count := range r[service] {
			if class(what) == wanted {
				sum += count
			}
		}
	}
	return sum
}

// besidesWatches counts the requests of all services that are no watches.
func (r requests) besidesWatches() int {
	sum := 0
	for _, class := range []string{classRead, classWrite, classEvent, classClaim} {
		sum += r.of(class, services())
	}
	return sum
}
