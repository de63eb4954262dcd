// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/events"
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
		default:
			if ended := p.ended(ctx, request); ended != "" {
				found = append(found, broken(check, fmt.Sprintf("Singlestore %s/%s is paused for %s %s/%s, whose chain %s", db.Namespace, db.Name, owner.Kind, owner.Namespace, owner.Name, ended),
					"the relay takes such a pause back by itself: do watcher and pauser run? What happened: opsrelay timeline "+owner.Namespace+"/"+owner.Name))
			}
		}
	}
	if len(found) == 0 {
		found = append(found, ok(check, fmt.Sprintf("%d databases are paused by requests under way", ours)))
	}
	return found
}

// holds looks for pods that are held for a request that is not there or has ended.
func (p Patient) holds(ctx context.Context) []Finding {
	const check = "held pods"
	pods, err := p.Clients.Core.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: hold})
	if err != nil {
		return []Finding{unknown(check, err)}
	}
	requests, err := p.Clients.KubeDB.SinglestoreOpsRequests("").List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return []Finding{unknown(check, err)}
	}
	underWay := map[string]*kubedb.SinglestoreOpsRequest{}
	if requests != nil {
		for i := range requests.Items {
			if request := &requests.Items[i]; !request.Status.Phase.Terminal() {
				underWay[string(request.UID)] = request
			}
		}
	}
	var found []Finding
	for i := range pods.Items {
		pod, why := &pods.Items[i], "which is not under way any more"
		if request := underWay[pods.Items[i].Labels[hold]]; request != nil {
			ended := p.ended(ctx, request)
			if ended == "" {
				continue
			}
			why = "whose chain " + ended
		}
		found = append(found, broken(check, fmt.Sprintf("pod %s/%s is held for %s, %s", pod.Namespace, pod.Name, pod.Annotations[hold], why),
			"the expander releases it by itself: does it run? Where Opsrelay is gone for good: kubectl patch pod "+pod.Name+" -n "+pod.Namespace+
				` --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]', if it has no other`))
	}
	if len(found) == 0 {
		found = append(found, ok(check, fmt.Sprintf("%d pods are held by requests under way", len(pods.Items))))
	}
	return found
}

// hold is the label and the annotation of a pod that the expander holds.
const hold = "opsrelay.dev/volume-expansion"

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
	found := p.refused(ctx, list.Items)
	switch {
	case len(stuck) > 0:
		found = append(found, broken(check, "no news for longer than a step may take: "+strings.Join(stuck, ", "),
			"do all services run? opsrelay timeline NAMESPACE/NAME says whose turn it is"))
	case len(found) == 0:
		found = append(found, ok(check, fmt.Sprintf("%d under way, none is stuck", underWay)))
	}
	return append(found, installations(list.Items, time.Now())...)
}

// mostAsked bounds how many requests the API server is asked about.
const mostAsked = 20

// refused looks for requests that the API server does not let the watcher write, by
// dry runs, which write nothing: the finalizer of version 1 that is still there, and
// the status of those whose database is gone.
func (p Patient) refused(ctx context.Context, requests []kubedb.SinglestoreOpsRequest) []Finding {
	var finalizers, statuses []string
	for i := range requests {
		r := &requests[i]
		switch {
		case len(finalizers)+len(statuses) >= mostAsked:
		case slices.Contains(r.Finalizers, kubedb.RequestFinalizer):
			if err := p.wouldPatch(ctx, r); err != nil {
				finalizers = append(finalizers, fmt.Sprintf("%s/%s (%s)", r.Namespace, r.Name, err))
			}
		case !r.Status.Phase.Terminal() && p.databaseGone(ctx, r):
			if err := p.wouldPatch(ctx, r, "status"); err != nil {
				statuses = append(statuses, fmt.Sprintf("%s/%s (%s)", r.Namespace, r.Name, err))
			}
		}
	}
	var found []Finding
	if len(finalizers) > 0 {
		found = append(found, broken("finalizers", "version 1 has left its finalizer on requests, and the API server refuses to take it off: "+strings.Join(finalizers, ", "),
			"the watcher takes it off as soon as that is allowed: where a webhook wants the request's database, create one of its name for a moment, or exempt the request from the webhook"))
	}
	if len(statuses) > 0 {
		found = append(found, broken("statuses", "the database is gone, and the API server refuses the status of its requests: "+strings.Join(statuses, ", "),
			"nothing is under way for them: kubectl delete singlestoreopsrequest -n NAMESPACE NAME"))
	}
	return found
}

// wouldPatch returns why the API server would refuse to write the request as it is.
func (p Patient) wouldPatch(ctx context.Context, r *kubedb.SinglestoreOpsRequest, subresources ...string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q}}`, r.UID)
	_, err := p.Clients.KubeDB.SinglestoreOpsRequests(r.Namespace).Patch(ctx, r.Name, types.MergePatchType, patch,
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, subresources...)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// databaseGone reports whether the request's database does not exist.
func (p Patient) databaseGone(ctx context.Context, r *kubedb.SinglestoreOpsRequest) bool {
	_, err := p.Clients.KubeDB.Singlestores(r.Namespace).Get(ctx, r.Spec.DatabaseRef.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

// ended says in words how the chain of a request ended; empty while it goes on, or
// when it cannot be read. Not the request's status counts here: that may lag behind.
func (p Patient) ended(ctx context.Context, request *kubedb.SinglestoreOpsRequest) string {
	if p.JetStream == nil {
		return ""
	}
	stream, err := p.JetStream.Stream(ctx, events.Stream)
	if err != nil {
		return ""
	}
	key := events.ChainKey{Kind: strings.ToLower(kubedb.KindSinglestore), Namespace: request.Namespace, UID: string(request.UID)}
	last, err := stream.GetLastMsgForSubject(ctx, key.Filter())
	if err != nil {
		return ""
	}
	e, err := events.Decode(last.Subject, last.Header, last.Data)
	switch {
	case err != nil:
		return fmt.Sprintf("ends with what is no event (message %d)", last.Sequence)
	case e.Fact.Ends():
		return fmt.Sprintf("has ended with %q", e.Fact)
	default:
		return ""
	}
}
