// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth

import (
	"fmt"
	"path"
	"strings"
)

// account is the name of the account in which the relay runs, systemAccount that
// of the server's own, systemUser the one user in it.
const (
	account       = "OPSRELAY"
	systemAccount = "SYS"
	systemUser    = "sys"
)

// Config is the fragment of the server's configuration that says who may do
// what. The server's own file includes it, and enables JetStream.
func (s *Set) Config() string {
	w := &writer{}
	w.line("# Written by opsrelay nats-auth; do not edit.")
	w.line("accounts {")
	w.relayAccount(s)
	for _, name := range s.subscribers() {
		w.subscriberAccount(name, s.keys(name))
	}
	w.line("  %s {", systemAccount)
	w.line("    users: [")
	for _, key := range s.keys(systemUser) {
		w.line("      {nkey: %s}", key)
	}
	w.line("    ]")
	w.line("  }")
	w.line("}")
	w.line("system_account: %s", systemAccount)
	if s.TLS {
		w.line("# Every client shows a certificate of the same authority.")
		w.line("tls {")
		w.line("  cert_file: %q", path.Join(s.Mount, fileCert))
		w.line("  key_file: %q", path.Join(s.Mount, fileCertKey))
		w.line("  ca_file: %q", path.Join(s.Mount, fileCA))
		w.line("  verify: true")
		w.line("}")
	}
	return w.String()
}

// writer writes a configuration line by line.
type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...) // a builder takes everything
}

func (w *writer) relayAccount(s *Set) {
	subscribers := s.subscribers()
	w.line("  %s {", account)
	w.line("    jetstream: enabled")
	w.line("    users: [")
	for _, user := range Users(subscribers...) {
		w.user(user, s.keys(user.Name))
	}
	w.line("    ]")
	if len(subscribers) > 0 {
		w.line("    exports: [")
		for _, name := range subscribers {
			for _, service := range subscriberServices(name) {
				kind := ""
				if service.stream {
					kind = ", response_type: stream"
				}
				w.line("      {service: %q%s, accounts: [%q]}", service.subject, kind, subscriberAccount(name))
			}
		}
		w.line("    ]")
	}
	w.line("  }")
}

func (w *writer) subscriberAccount(name string, keys []string) {
	w.line("  %q {", subscriberAccount(name))
	w.line("    users: [")
	w.user(User{Name: name, Description: "a subscriber", Rights: subscriberRights(name)}, keys)
	w.line("    ]")
	w.line("    imports: [")
	for _, service := range subscriberServices(name) {
		w.line("      {service: {account: %s, subject: %q}, to: %q}", account, service.subject, service.as)
	}
	w.line("    ]")
	w.line("  }")
}

// user writes a user as often as it has keys: while a key is rotated, two are
// the same user.
func (w *writer) user(user User, keys []string) {
	w.line("      # %s: %s", user.Name, user.Description)
	for _, key := range keys {
		w.line("      {nkey: %s, permissions: {", key)
		w.subjects("publish", user.Rights.Publish, user.Rights.Deny)
		w.subjects("subscribe", user.Rights.Subscribe, nil)
		w.line("      }}")
	}
}

func (w *writer) subjects(verb string, allow, deny []string) {
	w.line("        %s: {allow: [", verb)
	for _, subject := range allow {
		w.line("          %q", subject)
	}
	if len(deny) > 0 {
		w.line("        ], deny: [")
	}
	for _, subject := range deny {
		w.line("          %q", subject)
	}
	w.line("        ]}")
}
