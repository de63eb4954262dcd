// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// recently is how long ago a request may have ended that shows who is at work.
const recently = time.Hour

// installations looks for namespaces in which more than one installation answers
// requests: those under way, and those whose status was written of late, say whose
// they are.
func installations(requests []kubedb.SinglestoreOpsRequest, now time.Time) []Finding {
	newest := map[string]map[string]*kubedb.SinglestoreOpsRequest{} // by namespace and installation
	for i := range requests {
		r := &requests[i]
		name, at := kubedb.InstallationOf(r)
		if name == "" || r.Status.Phase.Terminal() && now.Sub(at) > recently {
			continue
		}
		if newest[r.Namespace] == nil {
			newest[r.Namespace] = map[string]*kubedb.SinglestoreOpsRequest{}
		}
		if last := newest[r.Namespace][name]; last == nil || last.CreationTimestamp.Before(&r.CreationTimestamp) {
			newest[r.Namespace][name] = r
		}
	}
	var found []Finding
	for _, namespace := range slices.Sorted(maps.Keys(newest)) {
		var each []string
		for _, name := range slices.Sorted(maps.Keys(newest[namespace])) {
			each = append(each, fmt.Sprintf("%q (%s)", name, newest[namespace][name].Name))
		}
		if len(each) > 1 {
			found = append(found, warning("installations", fmt.Sprintf("requests of namespace %s are answered by %d installations: %s", namespace, len(each), strings.Join(each, ", ")),
				"stop one of them, or divide the namespaces with --namespace; if one was only renamed: opsrelay watcher --installation with the old name, until its requests have ended"))
		}
	}
	return found
}
