// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/opsrelay/opsrelay/events"
)

// Severity is what a finding means for the request.
type Severity string

// The severities, the worst first.
const (
	// Blocking: the request is rejected, and nothing is touched.
	Blocking Severity = "Blocking"
	// Waiting: the request, or the step that the finding names, waits until that
	// is over.
	Waiting Severity = "Waiting"
	// Warning: the request runs, and a person should know.
	Warning Severity = "Warning"
)

var severities = []Severity{Blocking, Waiting, Warning}

// The steps that wait, in the words of a failure.
const (
	StepAdmit  = "admit"
	StepPause  = "pause"
	StepExpand = "expand"
)

// Finding is something that stands in the way of a request.
type Finding struct {
	Severity Severity `json:"severity"`
	// Reason is one of the constants of this package: one word, for programs.
	Reason string `json:"reason"`
	// Step is which step waits, of a finding that is Waiting. A request that waits
	// at admit has not started.
	Step string `json:"step,omitempty"`
	// Field is the field of the request that it is about, if it is about one.
	Field string `json:"field,omitempty"`
	// Message says what is in the way and what can be done.
	Message string `json:"message"`
	// Until is when the wait is over, where that is known.
	Until time.Time `json:"until,omitzero"`
}

// Verdict is a plan in one word.
type Verdict string

// The verdicts.
const (
	// Runnable: the request can run now.
	Runnable Verdict = "Runnable"
	// Waits: it can run, and something must be over first.
	Waits Verdict = "Waits"
	// Blocked: it is rejected.
	Blocked Verdict = "Blocked"
)

// maxMessage bounds what a finding says, in bytes: names and values in it are what
// somebody wrote.
const maxMessage = 2 << 10

// message makes the message of a finding.
func message(format string, args ...any) string {
	return events.Shorten(fmt.Sprintf(format, args...), maxMessage)
}

// blocking is a finding that makes the request rejected.
func blocking(field, reason, format string, args ...any) Finding {
	return Finding{Severity: Blocking, Reason: reason, Field: field, Message: message(format, args...)}
}

// waiting is a finding that makes a step wait.
func waiting(step, reason, format string, args ...any) Finding {
	return Finding{Severity: Waiting, Reason: reason, Step: step, Message: message(format, args...)}
}

// warning is a finding that stops nothing.
func warning(reason, format string, args ...any) Finding {
	return Finding{Severity: Warning, Reason: reason, Message: message(format, args...)}
}

// unchecked makes a read that the API server forbids a warning: what could not be
// looked at is no reason not to go on, and is said. Any other error comes back.
func unchecked(what string, err error) ([]Finding, error) {
	if apierrors.IsForbidden(err) {
		return []Finding{warning(ReasonUnchecked, "%s could not be checked: %s", what, err)}, nil
	}
	return nil, fmt.Errorf("read %s: %w", what, err)
}

// add adds findings, the worst first and else in their order.
func (p *Plan) add(findings ...Finding) {
	p.Findings = append(p.Findings, findings...)
	slices.SortStableFunc(p.Findings, func(a, b Finding) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
	p.Verdict = Runnable
	if len(p.Findings) == 0 {
		return
	}
	switch p.Findings[0].Severity {
	case Blocking:
		p.Verdict = Blocked
	case Waiting:
		p.Verdict = Waits
	}
}

// Of returns the findings of a severity.
func (p *Plan) Of(severity Severity) []Finding {
	var findings []Finding
	for _, finding := range p.Findings {
		if finding.Severity == severity {
			findings = append(findings, finding)
		}
	}
	return findings
}

// WaitsAt returns why a step has to wait, all reasons in one, and until when where
// that is known; nil if it need not.
func (p *Plan) WaitsAt(step string) *Finding {
	var all *Finding
	for _, finding := range p.Of(Waiting) {
		switch {
		case finding.Step != step:
			continue
		case all == nil:
			all = &finding
			continue
		}
		all.Message += "; " + finding.Message
		if finding.Until.After(all.Until) {
			all.Until = finding.Until
		}
	}
	return all
}

// Refusal is why the request is rejected, all reasons in one; nil if it is not.
func (p *Plan) Refusal() *Refusal {
	findings := p.Of(Blocking)
	if len(findings) == 0 {
		return nil
	}
	refusal := &Refusal{Field: findings[0].Field, Reason: findings[0].Reason, Message: findings[0].Message}
	var more []string
	for _, finding := range findings[1:] {
		more = append(more, finding.Field+": "+finding.Message)
	}
	if len(more) > 0 {
		refusal.Message += "; " + strings.Join(more, "; ")
	}
	return refusal
}
