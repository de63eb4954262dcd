// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package crds_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/deploy/crds"
)

// definition is the part of a CustomResourceDefinition that is checked here. The API server checks the rest.
type definition struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Group, Scope string
		Names        struct {
			Kind, ListKind, Plural, Singular string
			ShortNames, Categories           []string
		}
		Versions []struct {
			Name                     string
			Served, Storage          bool
			Subresources             map[string]map[string]string
			AdditionalPrinterColumns []struct{ Name, Type, JSONPath string }
			Schema                   struct{ OpenAPIV3Schema map[string]any }
		}
	}
}

func readAll(t *testing.T) map[string]definition {
	t.Helper()
	definitions := map[string]definition{}
	entries, err := fs.ReadDir(crds.FS, ".")
	require.NoError(t, err)
	for _, entry := range entries {
		data, err := fs.ReadFile(crds.FS, entry.Name())
		require.NoError(t, err)
		var d definition
		require.NoError(t, yaml.UnmarshalStrict(data, new(map[string]any)), entry.Name())
		require.NoError(t, yaml.Unmarshal(data, &d))
		require.Equal(t, d.Spec.Group+"_"+d.Spec.Names.Plural+".yaml", entry.Name())
		definitions[d.Spec.Names.Kind] = d
	}
	return definitions
}

func TestNamesAreKubeDBs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind, name, version, columns  string
		shortNames, categories, scale string
	}{
		{"PetSet", "petsets.apps.k8s.appscode.com", "v1", "", "", "", ".spec.replicas .status.replicas"},
		{"Singlestore", "singlestores.kubedb.com", "v1alpha2", "Version .spec.version, Status .status.phase, Age .metadata.creationTimestamp",
			"sdb", "datastore kubedb appscode all", ""},
		{"SinglestoreOpsRequest", "singlestoreopsrequests.ops.kubedb.com", "v1alpha1", "Type .spec.type, Status .status.phase, Age .metadata.creationTimestamp",
			"sdbops", "ops kubedb appscode", ""},
	}
	definitions := readAll(t)
	require.Len(t, definitions, len(tests))
	for _, test := range tests {
		t.Run(test.kind, func(t *testing.T) {
			t.Parallel()
			d := definitions[test.kind]
			names := d.Spec.Names
			require.Equal(t, "CustomResourceDefinition", d.Kind)
			require.Equal(t, test.name, d.Metadata.Name)
			require.Equal(t, "Namespaced", d.Spec.Scope)
			require.Equal(t, test.kind+"List", names.ListKind)
			require.Equal(t, strings.ToLower(test.kind), names.Singular)
			require.Equal(t, test.shortNames, strings.Join(names.ShortNames, " "))
			require.Equal(t, test.categories, strings.Join(names.Categories, " "))

			require.Len(t, d.Spec.Versions, 1)
			version := d.Spec.Versions[0]
			require.Equal(t, test.version, version.Name)
			require.True(t, version.Served && version.Storage)
			require.Contains(t, version.Subresources, "status")
			scale := version.Subresources["scale"]
			require.Equal(t, test.scale, strings.TrimSpace(scale["specReplicasPath"]+" "+scale["statusReplicasPath"]))
			var columns []string
			for _, column := range version.AdditionalPrinterColumns {
				columns = append(columns, column.Name+" "+column.JSONPath)
			}
			require.Equal(t, test.columns, strings.Join(columns, ", "))
		})
	}
}

// TestSchemasAreStructural checks what makes a schema structural: a type everywhere but for int-or-string, properties
// only in objects, items only and always in arrays.
func TestSchemasAreStructural(t *testing.T) {
	t.Parallel()
	for kind, d := range readAll(t) {
		checkStructural(t, kind, d.Spec.Versions[0].Schema.OpenAPIV3Schema)
	}
}

func checkStructural(t *testing.T, path string, schema map[string]any) {
	t.Helper()
	kind, _ := schema["type"].(string)
	if kind == "" {
		require.Equal(t, true, schema["x-kubernetes-int-or-string"], path)
	}
	properties, _ := schema["properties"].(map[string]any)
	if properties != nil {
		require.Equal(t, "object", kind, path)
	}
	for name, property := range properties {
		checkStructural(t, path+"."+name, property.(map[string]any))
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		require.Contains(t, properties, name, path)
	}
	items, isList := schema["items"].(map[string]any)
	require.Equal(t, kind == "array", isList, path)
	if isList {
		checkStructural(t, path+"[]", items)
	}
	if values, isMap := schema["additionalProperties"].(map[string]any); isMap {
		require.Nil(t, properties, path)
		checkStructural(t, path+"{}", values)
	}
}
