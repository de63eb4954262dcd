// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package invariant

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
)

// Write is one write that the API server carried out for a service of Opsrelay.
type Write struct {
	// Time is when it was answered.
	Time time.Time
	// Service is who wrote: watcher, pauser, expander, updater, provisioner,
	// petset.
	Service string
	// Verb is Kubernetes' word: create, update, patch, delete.
	Verb string
	// Resource is the resource with its subresource, "singlestores/status" for
	// one.
	Resource string
	// Namespace and Name say which object.
	Namespace, Name string
	// Fields are the paths that a patch names, sorted: dots for a merge patch,
	// slashes for a JSON patch.
	Fields []string
	// Body is what was sent, as JSON.
	Body string
}

// String is the write on one line.
func (w Write) String() string {
	return fmt.Sprintf("%s: %s %s %s/%s %s", w.Service, w.Verb, w.Resource, w.Namespace, w.Name, strings.Join(w.Fields, " "))
}

// serviceAccountPrefix begins the user names of the services.
const serviceAccountPrefix = "system:serviceaccount:opsrelay:"

// auditEvent is what is read of a line of the audit log.
type auditEvent struct {
	Verb             string                     `json:"verb"`
	User             struct{ Username string }  `json:"user"`
	ImpersonatedUser *struct{ Username string } `json:"impersonatedUser"`
	StageTimestamp   time.Time                  `json:"stageTimestamp"`
	ObjectRef        struct {
		APIGroup, Resource, Subresource, Namespace, Name string
	} `json:"objectRef"`
	RequestURI     string
	Annotations    map[string]string
	ResponseStatus struct{ Code int } `json:"responseStatus"`
	RequestObject  json.RawMessage    `json:"requestObject"`
}

// ReadAuditLog returns the writes of Opsrelay's services that the API server
// carried out, in the order of their answers.
func ReadAuditLog(path string) ([]Write, error) {
	return readWrites(path, func(code int) bool { return code < 300 })
}

// ReadUncertainWrites returns the writes of Opsrelay's services that the API server
// may have carried out and did not say so: most often because who asked was killed
// meanwhile.
func ReadUncertainWrites(path string) ([]Write, error) {
	const clientClosedRequest = 499
	return readWrites(path, func(code int) bool { return code == clientClosedRequest || code >= http.StatusInternalServerError })
}

func readWrites(path string, answered func(code int) bool) ([]Write, error) {
	var writes []Write
	err := eachOfServices(path, func(service string, event auditEvent) {
		if slices.Contains(writeVerbs, event.Verb) && !strings.Contains(event.RequestURI, "dryRun=All") && answered(event.ResponseStatus.Code) {
			writes = append(writes, event.write(service))
		}
	})
	return writes, err
}

// writeVerbs are those that change something; the log may have others.
var writeVerbs = []string{"create", "update", "patch", "delete", "deletecollection"}

// eachOfServices calls do with each line of the log that is about a request of a
// service.
func eachOfServices(path string, do func(service string, event auditEvent)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(serviceAccountPrefix)) {
			continue // most lines are of others, and parsing takes long
		}
		var event auditEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			continue // the last line may be half written
		}
		if service, ours := strings.CutPrefix(event.user(), serviceAccountPrefix); ours {
			do(service, event)
		}
	}
	return lines.Err()
}

func (e auditEvent) user() string {
	if e.ImpersonatedUser != nil {
		return e.ImpersonatedUser.Username
	}
	return e.User.Username
}

func (e auditEvent) resource() string {
	if e.ObjectRef.Subresource == "" {
		return e.ObjectRef.Resource
	}
	return e.ObjectRef.Resource + "/" + e.ObjectRef.Subresource
}

func (e auditEvent) write(service string) Write {
	write := Write{
		Time: e.StageTimestamp, Service: service, Verb: e.Verb, Resource: e.resource(),
		Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
		Body: string(e.RequestObject),
	}
	if e.Verb == "patch" {
		write.Fields = patchedFields(e.RequestObject)
	}
	return write
}

// patchedFields lists the paths that a merge patch or a JSON patch changes.
func patchedFields(patch json.RawMessage) []string {
	var operations []struct{ Op, Path string }
	if json.Unmarshal(patch, &operations) == nil {
		var paths []string
		for _, operation := range operations {
			if operation.Op != "test" {
				paths = append(paths, operation.Path)
			}
		}
		return paths
	}
	var tree map[string]any
	if json.Unmarshal(patch, &tree) != nil {
		return []string{"unreadable"}
	}
	paths := leaves("", tree)
	sort.Strings(paths)
	return paths
}

func leaves(prefix string, tree map[string]any) []string {
	var paths []string
	for name, value := range tree {
		if child, ok := value.(map[string]any); ok && len(child) > 0 {
			paths = append(paths, leaves(prefix+name+".", child)...)
		} else {
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

// allowed is what a service may write: verb and resource, and the fields of a
// patch.
type allowed struct {
	verb, resource string
	fields         *regexp.Regexp
}

// rights is the design's table: who writes what, and nothing else.
var rights = map[string][]allowed{
	"watcher": {
		{"patch", "singlestoreopsrequests", regexp.MustCompile(`^metadata\.(uid|resourceVersion|finalizers)$`)}, // that of version 1, off
		{"patch", "singlestoreopsrequests/status", regexp.MustCompile(`^(metadata\.resourceVersion|status\.(phase|observedGeneration|conditions))$`)},
		{"create", "events", nil},
	},
	"pauser": {
		{"patch", "singlestores/status", regexp.MustCompile(`^(metadata\.resourceVersion|status\.conditions|/status/conditions/\d+)$`)},
	},
	"expander": {
		{"patch", "persistentvolumeclaims", regexp.MustCompile(`^(metadata\.(uid|resourceVersion|annotations\.opsrelay\.dev/(expansions|expanded-for))|spec\.resources\.requests\.storage)$`)},
		{"patch", "pods", regexp.MustCompile(`^metadata\.(annotations\.opsrelay\.dev/resize-nudge|uid|resourceVersion|finalizers|(labels|annotations)\.opsrelay\.dev/volume-expansion)$`)},
		{"create", "pods/eviction", nil},
	},
	"updater": {
		{"patch", "petsets", regexp.MustCompile(`^/(metadata/resourceVersion|spec/volumeClaimTemplates/\d+/spec/resources/requests/storage)$`)},
		{"patch", "statefulsets", regexp.MustCompile(`^(metadata\.(uid|resourceVersion|finalizers|managedFields|(labels|annotations)\.opsrelay\.dev/recreate)|spec\.persistentVolumeClaimRetentionPolicy(\.when(Deleted|Scaled))?)$`)},
		{"delete", "statefulsets", nil},
		{"create", "statefulsets", nil},
		{"create", "controllerrevisions", nil},
		{"delete", "controllerrevisions", nil},
		{"patch", "pods", regexp.MustCompile(`^metadata\.(uid|resourceVersion|ownerReferences)$`)},
		{"patch", "persistentvolumeclaims", regexp.MustCompile(`^metadata\.(uid|resourceVersion|ownerReferences)$`)},
		{"patch", "singlestores", regexp.MustCompile(`^(metadata\.resourceVersion|spec\.(topology\.(aggregator|leaf)\.)?storage\.resources\.requests\.storage)$`)},
	},
}

// violations says what of the write breaks I9. Services that stand in for
// KubeDB are not of the relay.
func (w Write) violations() []string {
	table, ofRelay := rights[w.Service]
	if !ofRelay {
		return nil
	}
	at := slices.IndexFunc(table, func(a allowed) bool { return a.verb == w.Verb && a.resource == w.Resource })
	if at < 0 {
		return []string{"I9: must not: " + w.String()}
	}
	var broken []string
	for _, field := range w.Fields {
		if pattern := table[at].fields; pattern == nil || !pattern.MatchString(field) {
			broken = append(broken, fmt.Sprintf("I9: must not touch %s: %s", field, w))
		}
	}
	return broken
}
