// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package crds_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/cluster/clustertest"
	"github.com/opsrelay/opsrelay/deploy/crds"
	"github.com/opsrelay/opsrelay/deploy/notrun"
)

// development is the cluster of all tests, with the definitions; nil where none is built.
var development *cluster.Cluster

func TestMain(m *testing.M) { os.Exit(clustertest.Run(m, crds.FS, &development)) }

var (
	databases = schema.GroupVersionResource{Group: "kubedb.com", Version: "v1alpha2", Resource: "singlestores"}
	requests  = schema.GroupVersionResource{Group: "ops.kubedb.com", Version: "v1alpha1", Resource: "singlestoreopsrequests"}
	petSets   = schema.GroupVersionResource{Group: "apps.k8s.appscode.com", Version: "v1", Resource: "petsets"}
)

func object(t *testing.T, resource schema.GroupVersionResource, name, spec string) *unstructured.Unstructured {
	t.Helper()
	kinds := map[string]string{"singlestores": "Singlestore", "singlestoreopsrequests": "SinglestoreOpsRequest", "petsets": "PetSet"}
	o := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(`{"spec":`+spec+`}`), &o.Object))
	o.SetGroupVersionKind(resource.GroupVersion().WithKind(kinds[resource.Resource]))
	o.SetName(name)
	return o
}

func connect(t *testing.T) dynamic.Interface {
	t.Helper()
	notrun.SkipShort(t)
	require.NotNil(t, development, cluster.ErrNotBuilt.Error())
	client, err := dynamic.NewForConfig(development.Config())
	require.NoError(t, err)
	return client
}

func create(t *testing.T, resource schema.GroupVersionResource, o *unstructured.Unstructured, options metav1.CreateOptions) (*unstructured.Unstructured, error) {
	t.Helper()
	return connect(t).Resource(resource).Namespace("default").Create(t.Context(), o, options)
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	expansion := func(fields string) string {
		return `{"databaseRef":{"name":"sdb"},"type":"VolumeExpansion","volumeExpansion":{` + fields + `}}`
	}
	const license = `"licenseSecret":{"name":"l"}`
	tests := []struct {
		name     string
		resource schema.GroupVersionResource
		object   string
		spec     string
		refusal  string
	}{
		{"sizes", requests, "r", expansion(`"mode":"Online","aggregator":"20Gi","leaf":15696033792`), ""},
		{"size in scientific notation", requests, "r", expansion(`"mode":"Offline","node":"1e12"`), ""},
		{"another type", requests, "r", `{"databaseRef":{"name":"sdb"},"type":"VerticalScaling","verticalScaling":{"leaf":{"resources":{"limits":{"cpu":1}}}}}`, ""},
		{"no name of a database", requests, "r", `{"databaseRef":{},"type":"VolumeExpansion","volumeExpansion":{"mode":"Online","node":"1Gi"}}`, ""},
		{"a path for a database", requests, "r", `{"databaseRef":{"name":"demo/x"},"type":"VolumeExpansion","volumeExpansion":{"mode":"Online","node":"1Gi"}}`, "should match"},
		{"a long name of a database", requests, "r", `{"databaseRef":{"name":"` + strings.Repeat("x", 64) + `"},"type":"VolumeExpansion","volumeExpansion":{"mode":"Online","node":"1Gi"}}`, "may not be more than 63"},
		{"a path for a suffix", databases, "s", `{` + license + `,"topology":{"leaf":{"suffix":"../x"}}}`, "should match"},
		{"node and leaf", requests, "r", expansion(`"mode":"Online","node":"1Gi","leaf":"1Gi"`), "cannot both be set"},
		{"node and aggregator", requests, "r", expansion(`"mode":"Online","node":"1Gi","aggregator":"1Gi"`), "cannot both be set"},
		{"no size", requests, "r", expansion(`"mode":"Online"`), "one of node, aggregator and leaf must be set"},
		{"no mode", requests, "r", expansion(`"node":"1Gi"`), "mode: Required value"},
		{"unknown mode", requests, "r", expansion(`"mode":"online","node":"1Gi"`), "Unsupported value"},
		{"negative", requests, "r", expansion(`"mode":"Online","leaf":"-1Gi"`), "must be greater than 0"},
		{"negative number", requests, "r", expansion(`"mode":"Online","leaf":-1`), "must be greater than 0"},
		{"zero", requests, "r", expansion(`"mode":"Online","leaf":"0"`), "must be greater than 0"},
		{"zero number", requests, "r", expansion(`"mode":"Online","leaf":0`), "must be greater than 0"},
		{"no quantity", requests, "r", expansion(`"mode":"Online","leaf":"lots"`), "should match"},
		{"fraction of an exponent", requests, "r", expansion(`"mode":"Online","leaf":"1e1.5"`), "must be greater than 0"},
		{"takes minutes to parse", requests, "r", expansion(`"mode":"Online","leaf":"+1.e-999999999"`), "must be greater than 0"},
		{"no expansion", requests, "r", `{"databaseRef":{"name":"sdb"},"type":"VolumeExpansion"}`, "needs spec.volumeExpansion"},
		{"unknown type", requests, "r", `{"databaseRef":{"name":"sdb"},"type":"Expand"}`, "Unsupported value"},
		{"no database", requests, "r", `{"type":"Restart"}`, "databaseRef: Required value"},

		{"standalone", databases, "d", `{` + license + `,"storage":{"resources":{"requests":{"storage":1024}}},"podTemplate":{"spec":{"hostAliases":[]}}}`, ""},
		{"topology", databases, "d", `{` + license + `,"topology":{"aggregator":{"replicas":1},"leaf":{}}}`, ""},
		{"half a topology", databases, "d", `{` + license + `,"topology":{"leaf":{}}}`, "needs both aggregator and leaf"},
		{"no replicas", databases, "d", `{` + license + `,"topology":{"aggregator":{"replicas":0},"leaf":{}}}`, "replicas must be greater than 0"},
		{"no license", databases, "d", `{"version":"8"}`, "licenseSecret: Required value"},
		{"unknown storage type", databases, "d", `{` + license + `,"storageType":"Memory"}`, "Unsupported value"},
		{"name with a dot", databases, "d.e", `{` + license + `}`, "metadata.name"},
		{"name with a digit first", databases, "1d", `{` + license + `}`, "metadata.name"},
		{"name too long", databases, strings.Repeat("d", 64), `{` + license + `}`, "metadata.name"},

		{"PetSet", petSets, "p", `{"selector":{},"serviceName":"s","template":{"spec":{"containers":[]}}}`, ""},
		{"PetSet without a service", petSets, "p", `{"selector":{},"template":{"spec":{"containers":[]}}}`, "serviceName: Required value"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := create(t, test.resource, object(t, test.resource, test.object, test.spec), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if test.refusal == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.refusal)
			}
		})
	}
}

func TestDefaultsAndUnknownFields(t *testing.T) {
	t.Parallel()
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	request, err := create(t, requests, object(t, requests, "r", `{"databaseRef":{"name":"sdb"},"type":"Restart","authentication":{"secretRef":{"name":"s"}}}`), dryRun)
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"databaseRef": map[string]any{"name": "sdb"}, "type": "Restart", "apply": "IfReady", "maxRetries": int64(1),
		"authentication": map[string]any{"secretRef": map[string]any{"name": "s", "kind": "Secret", "apiGroup": ""}},
	}, request.Object["spec"])

	database, err := create(t, databases, object(t, databases, "d", `{"licenseSecret":{"name":"l"},"monitor":{"x":1},
	  "podTemplate":{"spec":{"priority":1}},"misspelt":1}`), dryRun)
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"licenseSecret": map[string]any{"name": "l", "kind": "Secret", "apiGroup": ""},
		"healthChecker": map[string]any{"failureThreshold": int64(1), "periodSeconds": int64(10), "timeoutSeconds": int64(10)},
		"monitor":       map[string]any{"x": int64(1)},
		"podTemplate":   map[string]any{"spec": map[string]any{"priority": int64(1), "podPlacementPolicy": map[string]any{"name": "default"}}},
	}, database.Object["spec"])
}

func TestSpecOfARequestIsImmutable(t *testing.T) {
	t.Parallel()
	created, err := create(t, requests, object(t, requests, "immutable", `{"databaseRef":{"name":"sdb"},"type":"VolumeExpansion",
	  "volumeExpansion":{"mode":"Online","leaf":"1Gi"},"tls":{"certificates":[{"alias":"a","uris":["x"]}]}}`), metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, connect(t).Resource(requests).Namespace("default").Delete(context.Background(), created.GetName(), metav1.DeleteOptions{}))
	})
	update := func(change func(*unstructured.Unstructured), subresources ...string) error {
		changed := created.DeepCopy()
		change(changed)
		updated, err := connect(t).Resource(requests).Namespace("default").Update(t.Context(), changed, metav1.UpdateOptions{}, subresources...)
		if err == nil {
			created = updated
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
	require.ErrorContains(t, update(set([]any{map[string]any{"alias": "a", "uris": []any{"y"}}}, "spec", "tls", "certificates")), "spec is immutable")
	require.ErrorContains(t, update(func(o *unstructured.Unstructured) { delete(o.Object, "spec") }), "spec is immutable")
	require.NoError(t, update(func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"a": "b"}) }))
	require.NoError(t, update(set("Progressing", "status", "phase"), "status"))
}
