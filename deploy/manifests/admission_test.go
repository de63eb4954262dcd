// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// The cluster has definitions without rules of their own, as KubeDB's are. The
// policy stands in for KubeDB's webhook.
func TestAdmissionPolicy(t *testing.T) {
	t.Parallel()
	_, client := administrator(t)
	resource := client.Resource(requests).Namespace("default")
	request := func(name, spec string) *unstructured.Unstructured {
		object := &unstructured.Unstructured{}
		require.NoError(t, object.UnmarshalJSON([]byte(`{"apiVersion":"ops.kubedb.com/v1alpha1","kind":"SinglestoreOpsRequest","metadata":{"name":"`+name+`"},"spec":`+spec+`}`)))
		return object
	}
	expansion := func(fields string) string {
		return `{"databaseRef":{"name":"sdb"},"type":"VolumeExpansion","volumeExpansion":{` + fields + `}}`
	}
	try := func(spec string) error {
		_, err := resource.Create(t.Context(), request("try", spec), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	both := expansion(`"mode":"Online","node":"1Gi","leaf":"1Gi"`)
	// The definition refuses nothing by itself; a policy of an earlier run lingers
	// for a moment.
	require.Eventually(t, func() bool { return try(both) == nil }, patience, tick)

	a := newApplier(t)
	for _, object := range with(t, relay, "admission") {
		if object.GetName() == "opsrelay-singlestoreopsrequests" {
			require.NoError(t, a.apply(t.Context(), object))
			t.Cleanup(func() { require.NoError(t, a.remove(context.Background(), object)) })
		}
	}
	require.Empty(t, a.warnings.all())
	requireTyped(t, client)
	// A policy is in force a moment after it was made.
	require.Eventually(t, func() bool { return try(both) != nil }, patience, tick)

	for _, test := range []struct{ name, spec, refusal string }{
		{"sizes", expansion(`"mode":"Online","aggregator":"20Gi","leaf":15696033792`), ""},
		{"standalone", expansion(`"mode":"Online","node":"20Gi"`), ""},
		{"scientific notation", expansion(`"mode":"Offline","node":"1e12"`), ""},
		{"another type", `{"databaseRef":{"name":"sdb"},"type":"Restart"}`, ""},
		{"node and leaf", both, "cannot both be set"},
		{"node and aggregator", expansion(`"mode":"Online","node":"1Gi","aggregator":"1Gi"`), "cannot both be set"},
		{"no size", expansion(`"mode":"Online"`), "one of node, aggregator and leaf must be set"},
		{"negative", expansion(`"mode":"Online","leaf":"-1Gi"`), "must be greater than 0"},
		{"negative number", expansion(`"mode":"Online","leaf":-1`), "must be greater than 0"},
		{"zero", expansion(`"mode":"Online","node":"0"`), "must be greater than 0"},
		{"zero number", expansion(`"mode":"Online","aggregator":0`), "must be greater than 0"},
		{"one of two is bad", expansion(`"mode":"Online","aggregator":"1Gi","leaf":"0Gi"`), "must be greater than 0"},
		{"fraction of an exponent", expansion(`"mode":"Online","leaf":"1e1.5"`), "must be greater than 0"},
		{"takes minutes to parse", expansion(`"mode":"Online","leaf":"+1.e-999999999"`), "must be greater than 0"},
		{"no expansion", `{"databaseRef":{"name":"sdb"},"type":"VolumeExpansion"}`, "needs spec.volumeExpansion"},
	} {
		err := try(test.spec)
		if test.refusal == "" {
			require.NoError(t, err, test.name)
			continue
		}
		require.ErrorContains(t, err, test.refusal, test.name)
		require.ErrorContains(t, err, "ValidatingAdmissionPolicy", test.name)
	}

	for policy, refused := range map[string]bool{"fail": false, "recover": false, "retry": true, "": true} {
		annotated := request("try", expansion(`"mode":"Online","node":"1Gi"`))
		annotated.SetAnnotations(map[string]string{"opsrelay.dev/infeasible": policy})
		_, err := resource.Create(t.Context(), annotated, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if refused {
			require.ErrorContains(t, err, "must be fail or recover", policy)
		} else {
			require.NoError(t, err, policy)
		}
	}

	made := request("policy", expansion(`"mode":"Online","leaf":"1Gi"`))
	made.SetFinalizers([]string{"opsrelay.dev/test"})
	made, err := resource.Create(t.Context(), made, metav1.CreateOptions{})
	require.NoError(t, err)
	update := func(change func(*unstructured.Unstructured), subresource ...string) error {
		changed := made.DeepCopy()
		change(changed)
		updated, err := resource.Update(t.Context(), changed, metav1.UpdateOptions{}, subresource...)
		if err == nil {
			made = updated
		}
		return err
	}
	set := func(value any, path ...string) func(*unstructured.Unstructured) {
		return func(o *unstructured.Unstructured) {
			require.NoError(t, unstructured.SetNestedField(o.Object, value, path...))
		}
	}
	require.ErrorContains(t, update(set("2Gi", "spec", "volumeExpansion", "leaf")), "spec is immutable")
	require.ErrorContains(t, update(set("Always", "spec", "apply")), "spec is immutable")
	require.ErrorContains(t, update(func(o *unstructured.Unstructured) { delete(o.Object, "spec") }), "spec is immutable")
	require.NoError(t, update(set("b", "metadata", "labels", "a")))
	require.NoError(t, update(set("Progressing", "status", "phase"), "status"))
	require.NoError(t, resource.Delete(t.Context(), made.GetName(), metav1.DeleteOptions{}))
	made, err = resource.Get(t.Context(), made.GetName(), metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, update(func(o *unstructured.Unstructured) { o.SetFinalizers(nil) }))
}

// requireTyped requires that the API server found nothing wrong with the types in
// the policy's expressions, which it checks after it has taken them.
func requireTyped(t *testing.T, client dynamic.Interface) {
	t.Helper()
	policies := client.Resource(admissionregistrationv1.SchemeGroupVersion.WithResource("validatingadmissionpolicies"))
	var policy *admissionregistrationv1.ValidatingAdmissionPolicy
	require.Eventually(t, func() bool {
		object, err := policies.Get(t.Context(), "opsrelay-singlestoreopsrequests", metav1.GetOptions{})
		require.NoError(t, err)
		policy = as[admissionregistrationv1.ValidatingAdmissionPolicy](t, object)
		return policy.Status.ObservedGeneration == policy.Generation
	}, patience, tick)
	require.NotNil(t, policy.Status.TypeChecking)
	require.Empty(t, policy.Status.TypeChecking.ExpressionWarnings)
}
