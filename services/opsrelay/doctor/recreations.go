// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/updater"
)

// recreations looks for StatefulSets that are being recreated and do not come back:
// others keep them, or their request is not under way any more. Where nothing is
// left nothing is said.
func (p Patient) recreations(ctx context.Context) []Finding {
	const check = "recreations"
	marked := metav1.ListOptions{LabelSelector: updater.Recreate}
	sets, err := p.Clients.Core.AppsV1().StatefulSets("").List(ctx, marked)
	if err != nil {
		return []Finding{unknown(check, err)}
	}
	intents, err := p.Clients.Core.AppsV1().ControllerRevisions("").List(ctx, marked)
	if err != nil {
		return []Finding{unknown(check, err)}
	}
	var found []Finding
	left := map[string]bool{}
	for i := range sets.Items {
		set := &sets.Items[i]
		name := set.Namespace + "/" + set.Name
		others := slices.DeleteFunc(slices.Clone(set.Finalizers), func(finalizer string) bool {
			return finalizer == updater.Recreate || finalizer == metav1.FinalizerOrphanDependents
		})
		if set.DeletionTimestamp != nil && len(others) > 0 {
			left[name] = true
			found = append(found, broken(check, "StatefulSet "+name+" was deleted to be recreated, and is kept by finalizers "+strings.Join(others, ", "),
				"its pods go on; it is recreated as soon as whoever put these on takes them off"))
		} else if !p.underWay(ctx, set) {
			left[name] = true
			found = append(found, broken(check, "StatefulSet "+name+" is marked to be recreated for a request that is not under way any more",
				"the updater sees to it by itself: does it run? kubectl -n "+p.Namespace+" logs deploy/updater"))
		}
	}
	for i := range intents.Items {
		intent := &intents.Items[i]
		name := intent.Namespace + "/" + strings.TrimPrefix(intent.Name, updater.IntentName(""))
		if !left[name] && !p.underWay(ctx, intent) {
			found = append(found, broken(check, "StatefulSet "+name+" is to be recreated for a request that is not under way any more",
				fmt.Sprintf("the updater sees to it by itself: does it run? kubectl -n %s logs deploy/updater; what is to be created is the data of ControllerRevision %s in %s", p.Namespace, intent.Name, intent.Namespace)))
		}
	}
	return append(found, p.oldIntents(ctx)...)
}

// underWay reports whether the request that the object is marked for has not ended.
// What cannot be asked is taken for that.
func (p Patient) underWay(ctx context.Context, object metav1.Object) bool {
	ref, ok := updater.RequestOf(object)
	if !ok {
		return false
	}
	request, err := p.Clients.KubeDB.SinglestoreOpsRequests(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	return err != nil && !apierrors.IsNotFound(err) || err == nil && string(request.UID) == ref.UID && !request.Status.Phase.Terminal()
}

// oldIntents looks for databases that still have an intent of an earlier version, which is
// not read any more: everybody who may write the database could have written it.
func (p Patient) oldIntents(ctx context.Context) []Finding {
	databases, err := p.Clients.KubeDB.Singlestores("").List(ctx, metav1.ListOptions{LabelSelector: updater.Recreate})
	if err != nil {
		return nil // said of the pauses
	}
	var found []Finding
	for i := range databases.Items {
		db := &databases.Items[i]
		found = append(found, warning("recreations", fmt.Sprintf("Singlestore %s/%s has the annotation %s, which an earlier version left and nothing reads any more", db.Namespace, db.Name, updater.Recreate),
			fmt.Sprintf("if a StatefulSet of it is missing, check the manifest in the annotation and create it; then: kubectl -n %s annotate singlestore %s %s- && kubectl -n %s label singlestore %s %s-",
				db.Namespace, db.Name, updater.Recreate, db.Namespace, db.Name, updater.Recreate)))
	}
	return found
}
