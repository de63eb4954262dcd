// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import "testing"

// The broker goes away while volumes grow, and comes back with what it stored.
func TestFaultsOfASingleNATS(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			b := setup(t, 1)
			databases := numbered(2)
			b.createDatabases(databases...)
			b.hold(databases...)
			server := b.broker.servers["nats-0"]
			f.begin(b, server)
			b.release(databases...)
			b.grown(lastLeaf(databases[0]), "11Gi")
			f.end(b, server)
			b.succeeded(databases...)
		})
	}
}
