// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"testing"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// BenchmarkFold folds a whole chain's last fact into an empty status: the most
// that a fold has to do.
func BenchmarkFold(b *testing.B) {
	list := chain(events.Requested, events.Paused, events.Expanded, events.Updated, events.Resumed)
	last := list[len(list)-1]
	b.ReportAllocs()
	for b.Loop() {
		if status := Fold(kubedb.OpsRequestStatus{}, last); !status.Phase.Terminal() {
			b.Fatal(status.Phase)
		}
	}
}
