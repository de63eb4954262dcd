// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"fmt"
	"slices"
	"strings"
)

// Version is the version of the contract: the second token of every subject.
const Version = "v1"

// The first tokens of the subject families. Facts are the chain; the others
// stand beside it, outside the chain's wildcard.
const (
	factPrefix     = "opsrelay." + Version + "."
	livePrefix     = "opsrelay.live." + Version + "."
	progressPrefix = "opsrelay.progress." + Version + "."
	probePrefix    = "opsrelay.probe." + Version + "."
)

// The wildcards of all chains' facts and of all volumes' progress.
const (
	AllFacts    = factPrefix + ">"
	AllProgress = progressPrefix + ">"
)

// Subject is where the event is published.
func (e Event) Subject() string { return e.ChainKey().Subject(e.Fact) }

// ChainKey names the chain that the event belongs to.
func (e Event) ChainKey() ChainKey {
	return ChainKey{Kind: e.Kind, Namespace: e.Operation.Request.Namespace, UID: e.Operation.Request.UID}
}

// ChainKey names one chain. A request's name may hold dots, its uid and its
// namespace may not: so the uid is the key and the name is in the payload.
type ChainKey struct {
	// Kind is the database's kind in lower case.
	Kind string
	// Namespace is that of the request and of the database.
	Namespace string
	// UID is the request's.
	UID string
}

// String is the key as the last three tokens of a subject.
func (k ChainKey) String() string { return k.Kind + "." + k.Namespace + "." + k.UID }

// Subject is where a fact of the chain is published.
func (k ChainKey) Subject(fact Fact) string { return factPrefix + string(fact) + "." + k.String() }

// Filter is the wildcard that every fact of the chain is under, and nothing
// else.
func (k ChainKey) Filter() string { return factPrefix + "*." + k.String() }

// Live is where the broker repeats a fact of the chain to plain subscribers
// once it is stored. It is at most once: a hint, never the truth.
func (k ChainKey) Live(fact Fact) string { return livePrefix + string(fact) + "." + k.String() }

// Progress is where the progress of one of the chain's volumes is published.
// Claim names may hold dots, which are written as underscores: DNS names have
// none.
func (k ChainKey) Progress(claim string) string {
	return progressPrefix + k.String() + "." + strings.ReplaceAll(claim, ".", "_")
}

// ProgressFilter is the wildcard for the progress of every volume.
func ProgressFilter() string { return progressPrefix + ">" }

// FactFilter is the wildcard for a fact of every chain.
func FactFilter(fact Fact) string { return factPrefix + string(fact) + ".>" }

// LiveFilter is [FactFilter] for the live feed.
func LiveFilter(fact Fact) string { return livePrefix + string(fact) + ".>" }

// ProbeSubject is where a client that could not store a fact tries whether the
// stream of the chains stores anything again. It is of no chain, and no consumer
// sees it.
func ProbeSubject(client string) string { return probePrefix + client }

// ParseSubject returns the fact and the chain that a subject speaks of. Besides
// a fact's own subject it takes that of the live feed. Every error wraps
// [ErrMalformed].
func ParseSubject(subject string) (Fact, ChainKey, error) {
	for _, prefix := range []string{factPrefix, livePrefix} {
		rest, ok := strings.CutPrefix(subject, prefix)
		if tokens := strings.Split(rest, "."); ok && len(tokens) == 4 && allPlain(tokens) {
			return Fact(tokens[0]), ChainKey{Kind: tokens[1], Namespace: tokens[2], UID: tokens[3]}, nil
		}
	}
	return "", ChainKey{}, fmt.Errorf("%w: subject %q is not %s<fact>.<kind>.<namespace>.<uid>", ErrMalformed, subject, factPrefix)
}

// allPlain reports whether the broker takes each as one token of a subject: not
// empty, no wildcard, no white space.
func allPlain(tokens []string) bool {
	return !slices.ContainsFunc(tokens, func(token string) bool {
		return token == "" || strings.ContainsAny(token, "*> \t\r\n")
	})
}
