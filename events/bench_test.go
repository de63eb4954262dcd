// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"testing"

	"github.com/opsrelay/opsrelay/events"
)

// To compare two versions: go test ./events -run='^$' -bench=. -count=10 >new.txt,
// and benchstat old.txt new.txt.

func BenchmarkEncode(b *testing.B) {
	e := sample(events.Resumed)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.Encode(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	message, err := events.Encode(sample(events.Resumed))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(message.Data)))
	for b.Loop() {
		if _, err := events.Decode(message.Subject, message.Header, message.Data); err != nil {
			b.Fatal(err)
		}
	}
}
