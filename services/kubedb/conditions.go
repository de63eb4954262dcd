// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition is one aspect of an object's state, in the shape of KubeDB's kmapi.Condition.
type Condition struct {
	// Type is the aspect.
	Type string `json:"type"`
	// Status is True, False or Unknown.
	Status metav1.ConditionStatus `json:"status"`
	// ObservedGeneration is the generation of the spec that the condition is about.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Severity is Error, Warning, Info or empty, and only for conditions that are not True.
	Severity ConditionSeverity `json:"severity,omitempty"`
	// LastTransitionTime is when the condition last changed, in whole seconds.
	LastTransitionTime metav1.Time `json:"lastTransitionTime"`
	// Reason is one word for programs.
	Reason string `json:"reason,omitempty"`
	// Message is a sentence for people.
	Message string `json:"message,omitempty"`
}

// ConditionSeverity says how bad a condition that is not True is.
type ConditionSeverity string

// The severities.
const (
	SeverityError   ConditionSeverity = "Error"
	SeverityWarning ConditionSeverity = "Warning"
	SeverityInfo    ConditionSeverity = "Info"
	SeverityNone    ConditionSeverity = ""
)

// SetCondition returns conds with c in it; conds itself is not modified. A condition that says the same already (status,
// reason, message and generation) is left alone, with its time. Otherwise c replaces the one of its type in place, or is
// appended. An unset LastTransitionTime becomes now. So the order of a list is that of first appearance, not of time.
func SetCondition(conds []Condition, c Condition) []Condition {
	if c.LastTransitionTime.IsZero() {
		c.LastTransitionTime = metav1.Now().Rfc3339Copy()
	}
	at := indexOfCondition(conds, c.Type)
	if at < 0 {
		return append(slices.Clone(conds), c)
	}
	if saysTheSame(conds[at], c) {
		return conds
	}
	result := slices.Clone(conds)
	result[at] = c
	return result
}

// RemoveCondition returns conds without the condition of that type; conds itself is not modified.
func RemoveCondition(conds []Condition, conditionType string) []Condition {
	at := indexOfCondition(conds, conditionType)
	if at < 0 {
		return conds
	}
	return slices.Delete(slices.Clone(conds), at, at+1)
}

// FindCondition returns the condition of that type within conds, or nil.
func FindCondition(conds []Condition, conditionType string) *Condition {
	if at := indexOfCondition(conds, conditionType); at >= 0 {
		return &conds[at]
	}
	return nil
}

// IsConditionTrue reports whether the condition of that type is there and True.
func IsConditionTrue(conds []Condition, conditionType string) bool {
	c := FindCondition(conds, conditionType)
	return c != nil && c.Status == metav1.ConditionTrue
}

// IsConditionFalse reports whether the condition of that type is there and False.
func IsConditionFalse(conds []Condition, conditionType string) bool {
	c := FindCondition(conds, conditionType)
	return c != nil && c.Status == metav1.ConditionFalse
}

func indexOfCondition(conds []Condition, conditionType string) int {
	return slices.IndexFunc(conds, func(c Condition) bool { return c.Type == conditionType })
}

func saysTheSame(a, b Condition) bool {
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message &&
		a.ObservedGeneration == b.ObservedGeneration
}
