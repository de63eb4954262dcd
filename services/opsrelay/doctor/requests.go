// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// stepTimeout is the watcher's default where a request has none.
const stepTimeout = 30 * time.Minute

// pauses looks for databases that are paused for a request that is not there or
// has ended.
func (p Patient) pauses(ctx context.Context) []Finding {
	const check = "pauses"
	databases, err := p.Clients.KubeDB.Singlestores("").List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil // the definition is missing, which was said
	}
	if err != nil {
		return []Finding{unknown(check, err)}
	}
	var found []Finding
	ours := 0
	for i := range databases.Items {
		db := &databases.Items[i]
		owner, paused := kubedb.PausedBy(db)
		if !paused || owner.IsZero() {
			continue
		}
		ours++
		request, err := p.Clients.KubeDB.SinglestoreOpsRequests(owner.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			found = append(found, unknown(check, err))
		case err != nil || request.UID != owner.UID || request.Status.Phase.Terminal():
			found = append(found, broken(check, fmt.Sprintf("Singlestore %s/%s is paused for %s %s/%s, which is not under way any more", db.Namespace, db.Name, owner.Kind, owner.Namespace, owner.Name),
				"the relay takes such a pause back by itself: do watcher and pauser run?"))
		}
	}
	if len(found) == 0 {
		found = append(found, ok(check, fmt.Sprintf("%d databases are paused by requests under way", ours)))
	}
	return found
}

// requests looks for requests under way that have had no news for longer than a
// step may take, and for those that wait for approval.
func (p Patient) requests(ctx context.Context) []Finding {
	const check = "requests"
	list, err := p.Clients.KubeDB.SinglestoreOpsRequests("").List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return []Finding{unknown(check, err)}
	}
	var stuck []string
	underWay := 0
	for i := range list.Items {
		r := &list.Items[i]
		if r.Status.Phase.Terminal() {
			continue
		}
		underWay++
		timeout, news := stepTimeout, r.CreationTimestamp.Time
		if r.Spec.Timeout != nil {
			timeout = r.Spec.Timeout.Duration
		}
		for _, c := range r.Status.Conditions {
			if c.LastTransitionTime.After(news) {
				news = c.LastTransitionTime.Time
			}
		}
		waits := kubedb.FindCondition(r.Status.Conditions, kubedb.ConditionWaiting) != nil
		if quiet := time.Since(news); quiet > timeout && !waits {
			stuck = append(stuck, fmt.Sprintf("%s/%s (%s)", r.Namespace, r.Name, quiet.Round(time.Second)))
		}
	}
	if len(stuck) > 0 {
		return []Finding{broken(check, "no news for longer than a step may take: "+strings.Join(stuck, ", "),
			"do all services run? opsrelay timeline NAMESPACE/NAME says whose turn it is")}
	}
	return []Finding{ok(check, fmt.Sprintf("%d under way, none is stuck", underWay))}
}
