// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// The identities of the services against what lies beside their work, each with its
// own token: what a role allows, and what the policy of the service makes of it.

var (
	volumes        = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
	storageClasses = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
	statefulSets   = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
	evts           = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}
	reviews        = schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}
)

// Who says no.
const (
	may    = ""                     // nobody: it is the service's work
	policy = "policy of the server" // the service's policy
	role   = "role"                 // its role has no such right
	api    = "API"                  // the API itself, whoever asks
)

// attempt is one thing that an identity tries.
type attempt struct {
	by, what string
	resource schema.GroupVersionResource
	// verb is create, delete, get, or patch; in is the namespace, the test's own if
	// empty.
	verb, in, name, sub, body string
	want                      string
}

const (
	hold     = "opsrelay.dev/volume-expansion"
	annotate = `{"metadata":{"annotations":{"%s":"x"}}}`
	label    = `{"metadata":{"labels":{"%s":"x"}}}`
	finalize = `{"metadata":{"finalizers":[%s]}}`
	store    = `{"spec":{"resources":{"requests":{"storage":"%s"}}}}`
	owner    = `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"x"}]}}`
	paused   = `{"type":"Paused","status":"True","reason":"Paused","message":"Paused by SinglestoreOpsRequest demo/r, uid u","lastTransitionTime":"2026-01-01T00:00:00Z"}`
	another  = `{"type":"Ready","status":"%s","reason":"Ready","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}`
	status   = `{"status":{"conditions":[%s]}}`
	anyPod   = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"new"},"spec":{"containers":[{"name":"c","image":"i"}]}}`
	anyClaim = `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"new"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`
	anySet   = `{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"new"},"spec":{"serviceName":"s","selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
	anyAsk   = `{"apiVersion":"ops.kubedb.com/v1alpha1","kind":"SinglestoreOpsRequest","metadata":{"name":"new"},"spec":{"databaseRef":{"name":"d"},"type":"Restart"}}`
	event    = `{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"new"},"eventTime":"2026-01-01T00:00:00.000000Z","reportingController":"opsrelay.dev/watcher","reportingInstance":"watcher","action":"a","reason":"r","type":"Normal","note":"n",` +
		`"regarding":{"apiVersion":"%s","kind":"%s","name":"x","namespace":"%s"}}`
	question = `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"default"}}}`
)

// attempts is the table. namespace is the test's own.
func attempts(namespace string) []attempt {
	regards := func(version, kind, namespace string) string { return fmt.Sprintf(event, version, kind, namespace) }
	ops := "ops.kubedb.com/v1alpha1"
	return []attempt{
		// The expander asks for storage in claims, marks pods and evicts them.
		{"expander", "nudges a pod", pods, "patch", "", "p", "", fmt.Sprintf(annotate, "opsrelay.dev/resize-nudge"), may},
		{"expander", "holds a pod", pods, "patch", "", "p", "", `{"metadata":{"finalizers":["example.com/foreign","` + hold + `"],"labels":{"` + hold + `":"u"},"annotations":{"` + hold + `":"r"}}}`, may},
		{"expander", "releases a pod", pods, "patch", "", "held", "", `{"metadata":{"finalizers":["example.com/foreign"],"labels":{"` + hold + `":null},"annotations":{"` + hold + `":null}}}`, may},
		{"expander", "evicts a pod", pods, "create", "", "p", "eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p"},"deleteOptions":{"dryRun":["All"]}}`, may},
		{"expander", "changes a pod's image", pods, "patch", "", "p", "", `{"spec":{"containers":[{"name":"c","image":"evil"}]}}`, policy},
		{"expander", "gives a pod a deadline", pods, "patch", "", "p", "", `{"spec":{"activeDeadlineSeconds":1}}`, policy},
		{"expander", "tolerates a taint for a pod", pods, "patch", "", "p", "", `{"spec":{"tolerations":[{"operator":"Exists"}]}}`, api},
		{"expander", "adds a foreign finalizer to a pod", pods, "patch", "", "p", "", fmt.Sprintf(finalize, `"example.com/foreign","example.com/evil"`), policy},
		{"expander", "takes a foreign finalizer off a pod", pods, "patch", "", "p", "", fmt.Sprintf(finalize, ""), policy},
		{"expander", "labels a pod", pods, "patch", "", "p", "", fmt.Sprintf(label, "app"), policy},
		{"expander", "takes a pod's label away", pods, "patch", "", "p", "", `{"metadata":{"labels":{"app":null}}}`, policy},
		{"expander", "annotates a pod otherwise", pods, "patch", "", "p", "", fmt.Sprintf(annotate, "cni.example.com/networks"), policy},
		{"expander", "gives a pod an owner", pods, "patch", "", "p", "", owner, policy},
		{"expander", "nudges a pod of kube-system", pods, "patch", "kube-system", "neighbour", "", fmt.Sprintf(annotate, "opsrelay.dev/resize-nudge"), policy},
		{"expander", "writes a pod's status", pods, "patch", "", "p", "status", `{"status":{"phase":"Failed"}}`, role},
		{"expander", "deletes a pod", pods, "delete", "", "p", "", "", role},
		{"expander", "creates a pod", pods, "create", "", "", "", anyPod, role},
		{"expander", "adds a container", pods, "patch", "", "p", "ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"e","image":"i"}]}}`, role},
		{"expander", "enlarges a claim", claims, "patch", "", "growing", "", `{"metadata":{"annotations":{"opsrelay.dev/expansions":"x","opsrelay.dev/expanded-for":"u"}},"spec":{"resources":{"requests":{"storage":"6Gi"}}}}`, may},
		{"expander", "takes an infeasible size back", claims, "patch", "", "stuck", "", fmt.Sprintf(store, "1073741825"), may},
		{"expander", "takes a size back that is under way", claims, "patch", "", "growing", "", fmt.Sprintf(store, "2Gi"), policy},
		{"expander", "lowers a claim to its capacity", claims, "patch", "", "stuck", "", fmt.Sprintf(store, "1Gi"), api},
		{"expander", "lowers a claim under its capacity", claims, "patch", "", "growing", "", fmt.Sprintf(store, "512Mi"), api},
		{"expander", "changes a claim's access modes", claims, "patch", "", "growing", "", `{"spec":{"accessModes":["ReadWriteMany"]}}`, api},
		{"expander", "limits a claim", claims, "patch", "", "growing", "", `{"spec":{"resources":{"limits":{"storage":"9Gi"}}}}`, api},
		{"expander", "moves a claim to another volume class", claims, "patch", "", "growing", "", `{"spec":{"volumeAttributesClassName":"fast"}}`, policy},
		{"expander", "labels a claim", claims, "patch", "", "growing", "", fmt.Sprintf(label, "app"), policy},
		{"expander", "annotates a claim otherwise", claims, "patch", "", "growing", "", fmt.Sprintf(annotate, "pv.kubernetes.io/bind-completed"), policy},
		{"expander", "takes a claim's protection away", claims, "patch", "", "growing", "", fmt.Sprintf(finalize, ""), policy},
		{"expander", "gives a claim an owner", claims, "patch", "", "growing", "", owner, policy},
		{"expander", "enlarges a claim of kube-system", claims, "patch", "kube-system", "neighbour", "", fmt.Sprintf(annotate, "opsrelay.dev/expansions"), policy},
		{"expander", "enlarges a claim of the broker", claims, "patch", "opsrelay", "neighbour", "", fmt.Sprintf(annotate, "opsrelay.dev/expansions"), policy},
		{"expander", "writes a claim's status", claims, "patch", "", "growing", "status", `{"status":{"phase":"Lost"}}`, role},
		{"expander", "deletes a claim", claims, "delete", "", "growing", "", "", role},
		{"expander", "creates a claim", claims, "create", "", "", "", anyClaim, role},
		{"expander", "reads a Secret", secrets, "get", "", "s", "", "", role},
		{"expander", "writes a database", databases, "patch", "", "d", "", fmt.Sprintf(label, "app"), role},
		{"expander", "creates a StatefulSet", statefulSets, "create", "", "", "", anySet, role},
		{"expander", "writes an event", evts, "create", "", "", "", regards(ops, "SinglestoreOpsRequest", namespace), role},

		// The pauser takes and gives back the pause of a database.
		{"pauser", "pauses a database", databases, "patch", "", "d", "status", fmt.Sprintf(status, fmt.Sprintf(another, "True")+","+paused), may},
		{"pauser", "resumes a database", databases, "patch", "", "paused", "status", fmt.Sprintf(status, fmt.Sprintf(another, "True")), may},
		{"pauser", "takes somebody else's pause back", databases, "patch", "", "foreign", "status", fmt.Sprintf(status, ""), policy},
		{"pauser", "takes somebody else's pause over", databases, "patch", "", "foreign", "status", fmt.Sprintf(status, paused), policy},
		{"pauser", "writes another condition", databases, "patch", "", "d", "status", fmt.Sprintf(status, fmt.Sprintf(another, "False")), policy},
		{"pauser", "takes another condition away", databases, "patch", "", "d", "status", fmt.Sprintf(status, paused), policy},
		{"pauser", "writes a database's phase", databases, "patch", "", "d", "status", `{"status":{"phase":"Critical"}}`, policy},
		{"pauser", "pauses a database of kube-system", databases, "patch", "kube-system", "neighbour", "status", fmt.Sprintf(status, paused), policy},
		{"pauser", "writes a database's spec", databases, "patch", "", "d", "", `{"spec":{"deletionPolicy":"WipeOut"}}`, role},
		{"pauser", "labels a database", databases, "patch", "", "d", "", fmt.Sprintf(label, "app"), role},
		{"pauser", "deletes a database", databases, "delete", "", "d", "", "", role},
		{"pauser", "writes a request's status", requests, "patch", "", "r", "status", `{"status":{"phase":"Successful"}}`, role},
		{"pauser", "annotates a pod", pods, "patch", "", "p", "", fmt.Sprintf(annotate, "opsrelay.dev/resize-nudge"), role},
		{"pauser", "creates a pod", pods, "create", "", "", "", anyPod, role},
		{"pauser", "enlarges a claim", claims, "patch", "", "growing", "", fmt.Sprintf(store, "6Gi"), role},
		{"pauser", "reads a Secret", secrets, "get", "", "s", "", "", role},

		// The watcher writes the status of requests, and events.
		{"watcher", "writes a request's status", requests, "patch", "", "r", "status", `{"status":{"phase":"Progressing","observedGeneration":1,"conditions":[{"type":"Running","status":"True","reason":"r","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, may},
		{"watcher", "asks for a right", reviews, "create", "-", "", "", question, may},
		{"watcher", "writes an event of a request", evts, "create", "", "", "", regards(ops, "SinglestoreOpsRequest", namespace), may},
		{"watcher", "writes an event of a pod", evts, "create", "", "", "", regards("v1", "Pod", namespace), policy},
		{"watcher", "writes an event of kube-system", evts, "create", "kube-system", "", "", regards(ops, "SinglestoreOpsRequest", "kube-system"), policy},
		{"watcher", "writes a request's status in kube-system", requests, "patch", "kube-system", "neighbour", "status", `{"status":{"phase":"Progressing"}}`, policy},
		{"watcher", "writes a request's spec", requests, "patch", "", "r", "", `{"spec":{"databaseRef":{"name":"other"}}}`, policy},
		{"watcher", "labels a request", requests, "patch", "", "r", "", fmt.Sprintf(label, "app"), policy},
		{"watcher", "annotates a request", requests, "patch", "", "r", "", fmt.Sprintf(annotate, "opsrelay.dev/infeasible"), policy},
		{"watcher", "takes a foreign finalizer off a request", requests, "patch", "", "r", "", fmt.Sprintf(finalize, ""), policy},
		{"watcher", "gives a request an owner", requests, "patch", "", "r", "", owner, policy},
		{"watcher", "creates a request", requests, "create", "", "", "", anyAsk, role},
		{"watcher", "deletes a request", requests, "delete", "", "r", "", "", role},
		{"watcher", "pauses a database", databases, "patch", "", "d", "status", fmt.Sprintf(status, paused), role},
		{"watcher", "writes a database", databases, "patch", "", "d", "", fmt.Sprintf(label, "app"), role},
		{"watcher", "enlarges a claim", claims, "patch", "", "growing", "", fmt.Sprintf(store, "6Gi"), role},
		{"watcher", "annotates a pod", pods, "patch", "", "p", "", fmt.Sprintf(annotate, "opsrelay.dev/resize-nudge"), role},
		{"watcher", "creates a pod", pods, "create", "", "", "", anyPod, role},
		{"watcher", "reads a Secret", secrets, "get", "", "s", "", "", role},
	}
}

// A policy knows who writes what; a role that is too wide, or is bound by mistake,
// gives nobody more than that.
func TestD14_NoIdentityDoesTheNeighbouringWrong(t *testing.T) {
	t.Parallel()
	b := neighbourhood(t)
	for _, a := range attempts(b.namespace) {
		t.Run(a.by+" "+a.what, func(t *testing.T) {
			err := a.try(t.Context(), b.as(t, a.by), b.namespace)
			switch a.want {
			case may:
				require.NoError(t, err)
			case policy:
				require.ErrorContains(t, err, "ValidatingAdmissionPolicy 'opsrelay-"+a.by+"'")
				require.ErrorContains(t, err, "the "+a.by+" ", "it does not say what the service does instead")
			case role:
				require.True(t, apierrors.IsForbidden(err), "%v", err)
				require.ErrorContains(t, err, "User \"system:serviceaccount:opsrelay:"+a.by+"\" cannot")
			case api:
				require.True(t, apierrors.IsInvalid(err), "%v", err)
			}
		})
	}

	// What the role refuses is refused by the policy where the role allows it. Reading
	// changes nothing, so no policy sees it.
	b.bindEverything(t)
	for _, a := range attempts(b.namespace) {
		if a.want == role && a.verb != "get" {
			t.Run("bound to cluster-admin, "+a.by+" "+a.what, func(t *testing.T) {
				err := a.try(t.Context(), b.as(t, a.by), b.namespace)
				require.ErrorContains(t, err, "ValidatingAdmissionPolicy 'opsrelay-"+a.by+"'")
			})
		}
	}
}

// try makes the attempt, which changes nothing even if it is allowed.
func (a attempt) try(ctx context.Context, client dynamic.Interface, namespace string) error {
	var resource dynamic.ResourceInterface
	switch a.in {
	case "":
		resource = client.Resource(a.resource).Namespace(namespace)
	case "-":
		resource = client.Resource(a.resource)
	default:
		resource = client.Resource(a.resource).Namespace(a.in)
	}
	var sub []string
	if a.sub != "" {
		sub = []string{a.sub}
	}
	dryRun := []string{metav1.DryRunAll}
	var err error
	switch a.verb {
	case "get":
		_, err = resource.Get(ctx, a.name, metav1.GetOptions{})
	case "delete":
		err = resource.Delete(ctx, a.name, metav1.DeleteOptions{DryRun: dryRun})
	case "create":
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON([]byte(a.body)); err != nil {
			return err
		}
		_, err = resource.Create(ctx, object, metav1.CreateOptions{DryRun: dryRun}, sub...)
	default:
		kind := types.MergePatchType
		if strings.Contains(a.body, `containers`) {
			kind = types.StrategicMergePatchType
		}
		_, err = resource.Patch(ctx, a.name, kind, []byte(a.body), metav1.PatchOptions{DryRun: dryRun}, sub...)
	}
	return err
}

// neighbours is a namespace with one of everything that the services touch.
type neighbours struct {
	core      kubernetes.Interface
	namespace string
	clients   map[string]dynamic.Interface
}

func neighbourhood(t *testing.T) *neighbours {
	t.Helper()
	core, client := administrator(t)
	namespace, err := core.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "neighbours-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	b := &neighbours{core: core, namespace: namespace.Name, clients: map[string]dynamic.Interface{}}
	create := func(resource schema.GroupVersionResource, in, body string) *unstructured.Unstructured {
		object := &unstructured.Unstructured{}
		require.NoError(t, object.UnmarshalJSON([]byte(body)))
		var where dynamic.ResourceInterface = client.Resource(resource)
		if in != "" {
			where = client.Resource(resource).Namespace(in)
		}
		made, err := where.Create(t.Context(), object, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			ctx := context.WithoutCancel(t.Context())
			_, _ = where.Patch(ctx, made.GetName(), types.MergePatchType, []byte(fmt.Sprintf(finalize, "")), metav1.PatchOptions{})
			_ = where.Delete(ctx, made.GetName(), metav1.DeleteOptions{}) // the cluster ends with the tests
		})
		return made
	}
	write := func(resource schema.GroupVersionResource, in, name, body string, sub ...string) {
		_, err := client.Resource(resource).Namespace(in).Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{}, sub...)
		require.NoError(t, err)
	}

	pod := func(in, name, more string) {
		create(pods, in, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"`+name+`","labels":{"app":"db"},"annotations":{"note":"n"},"finalizers":["example.com/foreign"]},`+
			`"spec":{"nodeName":"nowhere","containers":[{"name":"c","image":"i"}],"securityContext":{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}}}`)
		if more != "" {
			write(pods, in, name, more)
		}
	}
	pod(b.namespace, "p", "")
	pod(b.namespace, "held", `{"metadata":{"finalizers":["example.com/foreign","`+hold+`"],"labels":{"`+hold+`":"u"},"annotations":{"`+hold+`":"r"}}}`)
	pod("kube-system", "neighbour", "")

	class := create(storageClasses, "", `{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"generateName":"nobody-"},"provisioner":"nobody.example.com","allowVolumeExpansion":true}`).GetName()
	claim := func(in, name, state string) {
		create(volumes, "", `{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"`+in+"-"+name+`"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],`+
			`"storageClassName":"`+class+`","hostPath":{"path":"/x"},"claimRef":{"namespace":"`+in+`","name":"`+name+`"}}}`)
		create(claims, in, `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"`+name+`","labels":{"a":"b"}},"spec":{"accessModes":["ReadWriteOnce"],`+
			`"storageClassName":"`+class+`","volumeName":"`+in+"-"+name+`","resources":{"requests":{"storage":"1Gi"}}}}`)
		require.Eventually(t, func() bool {
			found, err := core.CoreV1().PersistentVolumeClaims(in).Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(t, err)
			return found.Status.Phase == corev1.ClaimBound
		}, patience, tick)
		write(claims, in, name, fmt.Sprintf(store, "5Gi"))
		write(claims, in, name, `{"status":{"allocatedResources":{"storage":"5Gi"},"allocatedResourceStatuses":{"storage":"`+state+`"}}}`, "status")
	}
	claim(b.namespace, "growing", "ControllerResizeInProgress")
	claim(b.namespace, "stuck", "ControllerResizeInfeasible")
	claim("kube-system", "neighbour", "ControllerResizeInProgress")
	claim("opsrelay", "neighbour", "ControllerResizeInProgress")

	database := func(in, name, conditions string) {
		create(databases, in, `{"apiVersion":"kubedb.com/v1alpha2","kind":"Singlestore","metadata":{"name":"`+name+`"},"spec":{"licenseSecret":{"name":"l"}}}`)
		write(databases, in, name, fmt.Sprintf(status, conditions), "status")
		write(databases, in, name, `{"status":{"phase":"Ready"}}`, "status")
	}
	database(b.namespace, "d", fmt.Sprintf(another, "True"))
	database(b.namespace, "paused", fmt.Sprintf(another, "True")+","+paused)
	database(b.namespace, "foreign", strings.Replace(paused, "SinglestoreOpsRequest demo/r, uid u", "KubeDB CLI tool", 1))
	database("kube-system", "neighbour", "")
	for _, r := range [][2]string{{b.namespace, "r"}, {"kube-system", "neighbour"}} {
		create(requests, r[0], `{"apiVersion":"ops.kubedb.com/v1alpha1","kind":"SinglestoreOpsRequest","metadata":{"name":"`+r[1]+`","finalizers":["example.com/foreign"]},"spec":{"databaseRef":{"name":"d"},"type":"Restart"}}`)
	}

	for _, service := range []string{"watcher", "pauser", "expander"} {
		token, err := core.CoreV1().ServiceAccounts("opsrelay").CreateToken(t.Context(), service, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		require.NoError(t, err)
		config := rest.AnonymousClientConfig(development.Config())
		config.BearerToken = token.Status.Token
		b.clients[service], err = dynamic.NewForConfig(config)
		require.NoError(t, err)
	}
	return b
}

func (b *neighbours) as(t *testing.T, service string) dynamic.Interface {
	t.Helper()
	require.Contains(t, b.clients, service)
	return b.clients[service]
}

// bindEverything lets the services do everything in the namespace.
func (b *neighbours) bindEverything(t *testing.T) {
	t.Helper()
	for service, client := range b.clients {
		_, err := b.core.RbacV1().RoleBindings(b.namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: service},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "opsrelay", Name: service}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := client.Resource(secrets).Namespace(b.namespace).List(t.Context(), metav1.ListOptions{})
			return err == nil
		}, patience, tick)
	}
}
