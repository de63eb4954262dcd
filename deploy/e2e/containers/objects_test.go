// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"fmt"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// topology is the database of KubeDB's guide, whose volumes can grow while in use.
func topology(name string) *kubedb.Singlestore { return fixture.Topology(name, fixture.ClassOnline) }

// expansion is what KubeDB's guide asks of its database. It has the database's
// name.
func expansion(database string) *kubedb.SinglestoreOpsRequest {
	return fixture.Expansion(database, database, fixture.Guide)
}

// lastLeaf is the claim of a database's last leaf.
func lastLeaf(database string) string { return "data-" + database + "-leaf-1" }

// numbered are names for that many databases.
func numbered(count int) []string {
	names := make([]string, count)
	for n := range names {
		names[n] = fmt.Sprintf("sdb-%d", n)
	}
	return names
}
