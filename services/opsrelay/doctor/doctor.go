// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package doctor looks at an installation from outside, as a person would who
// wonders why nothing happens, and says what is wrong and what to do next. It
// writes nothing but one message of no chain, to see whether the broker stores any.
package doctor

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/opsrelay/opsrelay/services/runtime"
)

// Verdict is how a check went.
type Verdict string

// The verdicts.
const (
	// OK: as it should be.
	OK Verdict = "ok"
	// Warning: it works, but not for all, or not for long.
	Warning Verdict = "warning"
	// Broken: requests fail or wait because of it.
	Broken Verdict = "broken"
	// Unknown: it could not be looked at.
	Unknown Verdict = "unknown"
)

// Finding is what one check found.
type Finding struct {
	// Check names what was looked at: "consumer expander" for one.
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Found says what is there.
	Found string `json:"found"`
	// Next is the next step to take; empty where nothing is wrong.
	Next string `json:"next,omitempty"`
}

// Patient is what is looked at.
type Patient struct {
	// Clients are for Kubernetes; their zero value leaves it out.
	Clients runtime.Clients
	// JetStream is the broker's interface; nil when it was not reached, for
	// which Unreachable then says why.
	JetStream   jetstream.JetStream
	Unreachable error
	// Namespace is where the services run.
	Namespace string
}

// Examine runs every check. Their order is that in which a person would look:
// what others stand on comes first.
func Examine(ctx context.Context, p Patient) []Finding {
	found := p.api(ctx)
	if found[0].Verdict == OK {
		found = append(found, p.definitions(ctx)...)
		found = append(found, p.rights(ctx)...)
		found = append(found, p.policies(ctx))
		found = append(found, p.storageClasses(ctx)...)
	}
	found = append(found, p.broker(ctx)...)
	if found[0].Verdict == OK {
		found = append(found, p.pauses(ctx)...)
		found = append(found, p.holds(ctx)...)
		found = append(found, p.requests(ctx)...)
		found = append(found, p.recreations(ctx)...)
	}
	return found
}

// Worst is the worst of the findings' verdicts.
func Worst(findings []Finding) Verdict {
	worst := OK
	for _, order := range []Verdict{Unknown, Warning, Broken} {
		for _, f := range findings {
			if f.Verdict == order {
				worst = order
			}
		}
	}
	return worst
}

func ok(check, found string) Finding { return Finding{Check: check, Verdict: OK, Found: found} }

func broken(check, found, next string) Finding {
	return Finding{Check: check, Verdict: Broken, Found: found, Next: next}
}

func warning(check, found, next string) Finding {
	return Finding{Check: check, Verdict: Warning, Found: found, Next: next}
}

// unknown says why a check was not made.
func unknown(check string, err error) Finding {
	return Finding{Check: check, Verdict: Unknown, Found: err.Error(), Next: "look with an account that may"}
}
