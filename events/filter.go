// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import "slices"

// Filter chooses facts of chains. What is left empty chooses all.
type Filter struct {
	// Facts are the facts to choose.
	Facts []Fact
	// Kind is the database's kind in lower case, Namespace the request's, UID
	// the request's.
	Kind, Namespace, UID string
}

// Subjects returns the wildcards that the broker needs to know, one for each
// fact chosen. They overlap nowhere.
func (f Filter) Subjects() []string {
	key := ChainKey{Kind: orAny(f.Kind), Namespace: orAny(f.Namespace), UID: orAny(f.UID)}
	if len(f.Facts) == 0 {
		if key == (ChainKey{Kind: "*", Namespace: "*", UID: "*"}) {
			return []string{AllFacts}
		}
		return []string{key.Filter()}
	}
	facts := slices.Compact(slices.Sorted(slices.Values(f.Facts)))
	subjects := make([]string, len(facts))
	for i, fact := range facts {
		subjects[i] = key.Subject(fact)
	}
	return subjects
}

// Matches reports whether the filter chooses the event.
func (f Filter) Matches(e Event) bool {
	matches := func(want, have string) bool { return want == "" || want == have }
	return (len(f.Facts) == 0 || slices.Contains(f.Facts, e.Fact)) &&
		matches(f.Kind, e.Kind) && matches(f.Namespace, e.Operation.Request.Namespace) && matches(f.UID, e.Operation.Request.UID)
}

func orAny(token string) string {
	if token == "" {
		return "*"
	}
	return token
}
