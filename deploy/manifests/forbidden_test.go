// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// account is the user that a service is.
func account(service string) string { return "system:serviceaccount:opsrelay:" + service }

// resources are what a service is asked about: all that any may touch, and what
// is worth stealing or breaking.
var resources = []string{
	"ops.kubedb.com/singlestoreopsrequests", "ops.kubedb.com/singlestoreopsrequests/status", "ops.kubedb.com/singlestoreopsrequests/finalizers",
	"kubedb.com/singlestores", "kubedb.com/singlestores/status", "kubedb.com/singlestores/finalizers",
	"apps.k8s.appscode.com/petsets", "apps.k8s.appscode.com/petsets/status", "apps.k8s.appscode.com/petsets/finalizers",
	"/persistentvolumeclaims", "/persistentvolumeclaims/status", "/persistentvolumes",
	"/pods", "/pods/status", "/pods/exec", "/pods/eviction", "/pods/ephemeralcontainers",
	"/secrets", "/configmaps", "/services", "/serviceaccounts", "/serviceaccounts/token", "/namespaces", "/nodes",
	"apps/statefulsets", "apps/controllerrevisions", "apps/deployments", "batch/jobs", "/resourcequotas", "/limitranges",
	"storage.k8s.io/storageclasses", "storage.k8s.io/volumeattachments", "storage.k8s.io/csistoragecapacities",
	"policy/poddisruptionbudgets", "/events", "events.k8s.io/events", "coordination.k8s.io/leases",
	"rbac.authorization.k8s.io/clusterroles", "rbac.authorization.k8s.io/clusterrolebindings",
	"apiextensions.k8s.io/customresourcedefinitions",
}

var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

// The API server is asked about every verb on every resource: it allows what is
// in the table, and refuses everything else.
func TestServicesMayDoWhatTheyNeedAndNothingElse(t *testing.T) {
	t.Parallel()
	core, _ := administrator(t)
	for service := range allowed {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			want := rightsOf(t, service)
			for _, r := range want {
				require.Contains(t, resources, r.group+"/"+r.resource)
				require.Contains(t, verbs, r.verb)
			}
			for _, where := range resources {
				group, resource, _ := strings.Cut(where, "/")
				for _, verb := range verbs {
					r := right{group, resource, "", verb}
					require.Equal(t, slices.Contains(want, r), permits(t, core, service, r), r.String())
				}
			}
			for _, r := range want {
				require.True(t, permits(t, core, service, r), r.String())
			}
		})
	}
}

// permits asks the API server whether a service has a right.
func permits(t *testing.T, core kubernetes.Interface, service string, r right) bool {
	t.Helper()
	resource, subresource, _ := strings.Cut(r.resource, "/")
	review, err := core.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User:   account(service),
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:opsrelay", "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: "default", Group: r.group, Resource: resource, Subresource: subresource, Name: r.name, Verb: r.verb,
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// The resources of the calls below.
var (
	pods      = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	claims    = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	secrets   = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	petSets   = schema.GroupVersionResource{Group: "apps.k8s.appscode.com", Version: "v1", Resource: "petsets"}
	databases = schema.GroupVersionResource{Group: "kubedb.com", Version: "v1alpha2", Resource: "singlestores"}
	requests  = schema.GroupVersionResource{Group: "ops.kubedb.com", Version: "v1alpha1", Resource: "singlestoreopsrequests"}
)

// call is one request of a service, which changes nothing even if it is allowed.
type call func(context.Context, dynamic.ResourceInterface) error

func remove(ctx context.Context, r dynamic.ResourceInterface) error {
	return r.Delete(ctx, "x", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
}

func get(ctx context.Context, r dynamic.ResourceInterface) error {
	_, err := r.Get(ctx, "x", metav1.GetOptions{})
	return err
}

func list(ctx context.Context, r dynamic.ResourceInterface) error {
	_, err := r.List(ctx, metav1.ListOptions{})
	return err
}

// patch writes a field of the object, or of a subresource.
func patch(body string, subresource ...string) call {
	return func(ctx context.Context, r dynamic.ResourceInterface) error {
		_, err := r.Patch(ctx, "x", types.MergePatchType, []byte(body), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, subresource...)
		return err
	}
}

func create(apiVersion, kind, spec string) call {
	return func(ctx context.Context, r dynamic.ResourceInterface) error {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON([]byte(`{"apiVersion":"` + apiVersion + `","kind":"` + kind + `","metadata":{"name":"x"},"spec":` + spec + `}`)); err != nil {
			return err
		}
		_, err := r.Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
}

func TestCallsOfServices(t *testing.T) {
	t.Parallel()
	needCluster(t)
	const (
		mode   = `{"spec":{"volumeExpansion":{"mode":"Offline"}}}`
		phase  = `{"status":{"phase":"Successful"}}`
		pause  = `{"status":{"conditions":[]}}`
		size   = `{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}`
		sizeDB = `{"spec":{"storage":{"resources":{"requests":{"storage":"2Gi"}}}}}`
		nudge  = `{"metadata":{"annotations":{"opsrelay.dev/resize-nudge":"x"}}}`
	)
	everybody := []string{"watcher", "pauser", "expander", "updater", "provisioner", "petset"}
	tests := []struct {
		name     string
		resource schema.GroupVersionResource
		call     call
		// by lists who may; all others are refused.
		by []string
	}{
		{"delete a pod", pods, remove, []string{"petset"}},
		// Which fields a service may patch the policies say.
		{"annotate a pod", pods, patch(nudge), []string{"expander", "updater", "petset"}},
		{"evict a pod", pods, patch(`{}`, "eviction"), nil},
		{"delete a claim", claims, remove, nil},
		{"grow a claim", claims, patch(size), []string{"expander", "updater"}},
		{"write a claim's status", claims, patch(phase, "status"), nil},
		{"read a Secret", secrets, get, []string{"provisioner"}},
		{"list Secrets", secrets, list, []string{"provisioner"}},
		{"delete a Secret", secrets, remove, nil},
		{"delete a PetSet", petSets, remove, nil},
		{"write a PetSet's template", petSets, patch(`{"spec":{}}`), []string{"updater", "provisioner"}},
		{"write a PetSet's status", petSets, patch(phase, "status"), nil},
		{"create a database", databases, create("kubedb.com/v1alpha2", "Singlestore", `{"licenseSecret":{"name":"l"}}`), nil},
		{"delete a database", databases, remove, nil},
		{"write a database's sizes", databases, patch(sizeDB), []string{"updater"}},
		{"write a database's status", databases, patch(pause, "status"), []string{"pauser", "provisioner"}},
		{"create a request", requests, create("ops.kubedb.com/v1alpha1", "SinglestoreOpsRequest", `{"databaseRef":{"name":"d"},"type":"Restart"}`), nil},
		{"delete a request", requests, remove, nil},
		{"write a request", requests, patch(mode), []string{"watcher"}},
		{"write a request's status", requests, patch(phase, "status"), []string{"watcher"}},
		{"list requests", requests, list, []string{"watcher"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, service := range everybody {
				_, client := clients(t, account(service))
				err := test.call(t.Context(), client.Resource(test.resource).Namespace("default"))
				if !slices.Contains(test.by, service) {
					require.True(t, apierrors.IsForbidden(err), "%s: %v", service, err)
				} else if err != nil { // there is none to work on, but it may
					require.True(t, apierrors.IsNotFound(err), "%s: %v", service, err)
				}
			}
		})
	}
}
