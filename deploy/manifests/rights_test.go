// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
)

// allowed is all that each service may do in Kubernetes: the table of the design,
// right by right, "group/resource: verbs", or with the name of the only object after
// the resource. Write rights are what its step writes; the rest is reading.
var allowed = map[string][]string{
	// Request status, the finalizer of version 1, events.
	"watcher": {
		"/namespaces kube-system: get",
		"ops.kubedb.com/singlestoreopsrequests: get list watch patch",
		"ops.kubedb.com/singlestoreopsrequests/status: patch",
		"/namespaces: list watch",
		"kubedb.com/singlestores: get list watch",
		"apps.k8s.appscode.com/petsets: get",
		"apps/statefulsets: get",
		"/persistentvolumeclaims: get",
		"/persistentvolumes: get",
		"storage.k8s.io/storageclasses: get",
		"/resourcequotas: list",
		"/limitranges: list",
		"storage.k8s.io/csistoragecapacities: list",
		"policy/poddisruptionbudgets: list",
		"/pods: list",
		"events.k8s.io/events: create",
	},
	// The database's status.
	"pauser": {
		"/namespaces kube-system: get",
		"kubedb.com/singlestores: get list watch",
		"kubedb.com/singlestores/status: patch",
	},
	// Claims, and of pods an annotation, the hold and the eviction.
	"expander": {
		"apps.k8s.appscode.com/petsets: get list watch",
		"apps/statefulsets: get list watch",
		"/persistentvolumeclaims: get list watch patch",
		"/pods: list watch patch",
		"/pods/eviction: create",
		"/namespaces: get",
		"policy/poddisruptionbudgets: list watch",
		"storage.k8s.io/volumeattachments: list watch",
		"kubedb.com/singlestores: list watch",
	},
	// The workload, and the database's storage sizes.
	"updater": {
		"/namespaces kube-system: get",
		"apps.k8s.appscode.com/petsets: get patch",
		"apps/statefulsets: get list watch create patch delete",
		"apps/controllerrevisions: get list watch create delete",
		"kubedb.com/singlestores: get patch",
		"kubedb.com/singlestores/finalizers: update",
		"/pods: list watch patch",
		"/persistentvolumeclaims: list patch",
	},
	// Which cluster it is, for the broker's record.
	"provision": {
		"/namespaces kube-system: get",
	},
	// In KubeDB's place.
	"provisioner": {
		"kubedb.com/singlestores: list watch",
		"kubedb.com/singlestores/status: patch",
		"kubedb.com/singlestores/finalizers: update",
		"apps.k8s.appscode.com/petsets: list watch create patch",
		"/secrets: get list watch create",
		"/services: list watch create",
		"/serviceaccounts: list watch create",
	},
	"petset": {
		"apps.k8s.appscode.com/petsets: get list watch",
		"apps.k8s.appscode.com/petsets/status: update",
		"apps.k8s.appscode.com/petsets/finalizers: update",
		"/pods: list watch create patch delete",
		"/persistentvolumeclaims: list watch create",
	},
}

// right is one verb on one resource, or on the only object of it that is named.
type right struct{ group, resource, name, verb string }

func (r right) String() string {
	return strings.TrimSpace(r.verb + " " + strings.TrimPrefix(r.group+"/"+r.resource, "/") + " " + r.name)
}

func rightsOf(t *testing.T, service string) []right {
	t.Helper()
	var all []right
	for _, line := range allowed[service] {
		where, verbs, ok := strings.Cut(line, ": ")
		require.True(t, ok, line)
		where, name, _ := strings.Cut(where, " ")
		group, resource, ok := strings.Cut(where, "/")
		require.True(t, ok, line)
		for verb := range strings.FieldsSeq(verbs) {
			all = append(all, right{group, resource, name, verb})
		}
	}
	return all
}

func TestRightsAreThoseOfTheDesign(t *testing.T) {
	t.Parallel()
	objects := render(t, dev)
	require.Len(t, objects.kind("ClusterRole"), len(allowed))
	require.Len(t, objects.kind("ClusterRoleBinding"), len(allowed))
	require.Empty(t, objects.kind("Role"))
	require.Empty(t, objects.kind("RoleBinding"))
	for service := range allowed {
		role := as[rbacv1.ClusterRole](t, objects.find(t, "ClusterRole", "opsrelay-"+service))
		require.Nil(t, role.AggregationRule)
		var got []right
		for _, rule := range role.Rules {
			require.Empty(t, rule.NonResourceURLs)
			require.LessOrEqual(t, len(rule.ResourceNames), 1)
			name := strings.Join(rule.ResourceNames, "")
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						got = append(got, right{group, resource, name, verb})
					}
				}
			}
		}
		require.ElementsMatch(t, rightsOf(t, service), got, service)

		binding := as[rbacv1.ClusterRoleBinding](t, objects.find(t, "ClusterRoleBinding", "opsrelay-"+service))
		require.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}, binding.RoleRef)
		require.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: service, Namespace: "opsrelay"}}, binding.Subjects)
		require.NotNil(t, objects.find(t, "ServiceAccount", service))
	}
	// Nothing more comes with the other installations.
	for _, directory := range []string{relay, production} {
		for _, role := range render(t, directory).kind("ClusterRole") {
			service := strings.TrimPrefix(role.GetName(), "opsrelay-")
			require.Contains(t, allowed, service)
			require.Equal(t, objects.find(t, "ClusterRole", role.GetName()).Object, role.Object)
		}
	}
}

// What nobody in the design may do, whatever else is changed in the table above.
func TestNobodyMayDestroy(t *testing.T) {
	t.Parallel()
	for service := range allowed {
		for _, r := range rightsOf(t, service) {
			require.NotContains(t, []string{"*", "deletecollection", "impersonate", "escalate", "bind"}, r.verb, service)
			if r.verb == "delete" {
				require.Contains(t, []string{"petset: delete pods", "updater: delete apps/statefulsets", "updater: delete apps/controllerrevisions"}, fmt.Sprintf("%s: %s", service, r))
			}
			if r.resource == "secrets" {
				require.Equal(t, "provisioner", service)
			}
		}
	}
}
