// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// A person who may read little is told what could not be checked, and whoever
// plans writes nothing: the API server's audit log says so.
func TestPlanWithFewRightsWritesNothing(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	// The audit log is read for accounts of this namespace.
	service := "plan-" + b.namespace
	user := "system:serviceaccount:opsrelay:" + service
	b.grant(user, rbacv1.PolicyRule{APIGroups: []string{"kubedb.com"}, Resources: []string{"singlestores"}, Verbs: []string{"get"}})
	request := fixture.Expansion("grow", "sdb", fixture.Guide)
	b.planned("few-rights", waits, request, "--as", user)
	b.grant(user,
		rbacv1.PolicyRule{APIGroups: []string{"apps.k8s.appscode.com"}, Resources: []string{"petsets"}, Verbs: []string{"get"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}},
		rbacv1.PolicyRule{APIGroups: []string{kubedb.OpsGroupVersion.Group}, Resources: []string{kubedb.ResourceSinglestoreOpsRequests}, Verbs: []string{"create"}})
	b.planned("some-rights", runnable, request, "--as", user)

	var writes []invariant.Write
	require.Eventually(t, func() bool {
		all, err := invariant.ReadAuditLog(b.stack.Cluster.AuditLog)
		require.NoError(t, err)
		writes = slices.DeleteFunc(all, func(w invariant.Write) bool { return w.Service != service })
		return len(writes) >= 2
	}, patience, 100*time.Millisecond, "each plan asks for one right, which is a create that the log shows")
	for _, write := range writes {
		require.Equal(t, "create selfsubjectaccessreviews", write.Verb+" "+write.Resource, "a question, which is not stored")
	}
}

// grant gives the user rights in the test's namespace, and waits until they hold.
func (b *bundle) grant(user string, rules ...rbacv1.PolicyRule) {
	b.Helper()
	role, err := b.core.RbacV1().Roles(b.namespace).Create(b.ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "plan-"}, Rules: rules}, metav1.CreateOptions{})
	require.NoError(b, err)
	_, err = b.core.RbacV1().RoleBindings(b.namespace).Create(b.ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "plan-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	for _, rule := range rules {
		b.may(user, true, rule.APIGroups[0], rule.Resources[0], rule.Verbs[0])
	}
}

// may waits until the user may do that, or may not.
func (b *bundle) may(user string, allowed bool, group, resource, verb string) {
	b.Helper()
	resource, subresource, _ := strings.Cut(resource, "/")
	require.Eventually(b, func() bool {
		review, err := b.core.AuthorizationV1().SubjectAccessReviews().Create(b.ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: user, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:opsrelay", "system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: b.namespace, Group: group, Resource: resource, Subresource: subresource, Verb: verb},
			},
		}, metav1.CreateOptions{})
		require.NoError(b, err)
		return review.Status.Allowed == allowed
	}, patience, 50*time.Millisecond, "%s may %s %s: %t", user, verb, resource, allowed)
}

// A watcher that lacks a right goes on without what it cannot check and says so;
// one that cannot go on says which right it lacks, and does when it has it.
func TestF42_TheWatcherLacksRights(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	const watcher = "system:serviceaccount:opsrelay:watcher"
	roles := b.core.RbacV1().ClusterRoles()
	role, err := roles.Get(b.ctx, "opsrelay-watcher", metav1.GetOptions{})
	require.NoError(t, err)
	whole := slices.Clone(role.Rules)
	set := func(rules []rbacv1.PolicyRule) {
		role.Rules = rules
		role, err = roles.Update(b.ctx, role, metav1.UpdateOptions{})
		require.NoError(t, err)
	}

	set(slices.DeleteFunc(slices.Clone(whole), func(rule rbacv1.PolicyRule) bool {
		return slices.ContainsFunc(rule.Resources, func(name string) bool {
			return slices.Contains([]string{"resourcequotas", "csistoragecapacities", "storageclasses", "persistentvolumeclaims"}, name)
		})
	}))
	b.may(watcher, false, "", "resourcequotas", "list")
	b.may(watcher, false, "", "persistentvolumeclaims", "get")
	b.may(watcher, false, "storage.k8s.io", "storageclasses", "get")
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	ended := b.ended("grow")
	require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
	told, err := b.core.EventsV1().Events(b.namespace).List(b.ctx, metav1.ListOptions{})
	require.NoError(t, err)
	at := slices.IndexFunc(told.Items, func(e eventsv1.Event) bool { return e.Reason == "Plan" })
	require.GreaterOrEqual(t, at, 0, "an event tells what was not checked")
	for _, what := range []string{"PetSet", "ResourceQuotas of namespace " + b.namespace, "cannot list resource \"resourcequotas\""} {
		require.Contains(t, told.Items[at].Note, what)
	}

	without := func(resource string) []rbacv1.PolicyRule {
		rules := slices.Clone(whole)
		for i, rule := range rules {
			if strings.Join(rule.Resources, "") == resource {
				rules[i].Verbs = slices.DeleteFunc(slices.Clone(rule.Verbs), func(verb string) bool { return verb == "patch" })
			}
		}
		return slices.DeleteFunc(rules, func(rule rbacv1.PolicyRule) bool { return len(rule.Verbs) == 0 })
	}
	// A request needs nothing of the watcher but its status.
	set(without(kubedb.ResourceSinglestoreOpsRequests))
	b.may(watcher, false, kubedb.OpsGroupVersion.Group, kubedb.ResourceSinglestoreOpsRequests, "patch")
	b.create(fixture.Expansion("again", "sdb", fixture.Sizes{Leaf: "12Gi"}))
	ended = b.ended("again")
	require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))

	set(without(kubedb.ResourceSinglestoreOpsRequests + "/status"))
	b.may(watcher, false, kubedb.OpsGroupVersion.Group, kubedb.ResourceSinglestoreOpsRequests+"/status", "patch")
	b.create(fixture.Expansion("third", "sdb", fixture.Sizes{Leaf: "13Gi"}))
	b.logs("watcher", "cannot patch resource \\\"singlestoreopsrequests/status\\\"")
	set(whole)
	ended = b.ended("third")
	require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
}
