// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// What can be applied.
const (
	rights      = "base/rights"
	relay       = "base"
	dev         = "overlays/dev"
	production  = "overlays/production"
	definitions = "crds"
	standIns    = "controllers"
)

// manifests are rendered objects.
type manifests []*unstructured.Unstructured

// render renders a directory of deploy, as `kubectl apply -k` does.
func render(t *testing.T, directory string) manifests {
	t.Helper()
	return renderFrom(t, filesys.MakeFsOnDisk(), filepath.Join("..", directory))
}

func renderFrom(t *testing.T, files filesys.FileSystem, path string) manifests {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, path)
	require.NoError(t, err)
	var objects manifests
	for _, resource := range resources.Resources() {
		data, err := resource.MarshalJSON()
		require.NoError(t, err)
		object := &unstructured.Unstructured{}
		require.NoError(t, object.UnmarshalJSON(data))
		objects = append(objects, object)
	}
	return objects
}

// with renders a directory with components on top, as an overlay would.
func with(t *testing.T, directory string, components ...string) manifests {
	t.Helper()
	files := filesys.MakeFsInMemory()
	for _, directory := range []string{relay, "components", definitions, standIns} {
		require.NoError(t, fs.WalkDir(os.DirFS(".."), directory, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(filepath.Join("..", path))
			require.NoError(t, err)
			return files.WriteFile("/"+path, data)
		}))
	}
	overlay := "resources: [../" + directory + "]\ncomponents:\n"
	for _, component := range components {
		overlay += "- ../components/" + component + "\n"
	}
	require.NoError(t, files.WriteFile("/overlay/kustomization.yaml", []byte(overlay)))
	return renderFrom(t, files, "/overlay")
}

// find returns the one object of that kind and name.
func (m manifests) find(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	var found *unstructured.Unstructured
	for _, object := range m.kind(kind) {
		if object.GetName() == name {
			require.Nil(t, found, "two of %s %s", kind, name)
			found = object
		}
	}
	require.NotNil(t, found, "no %s %s", kind, name)
	return found
}

func (m manifests) kind(kind string) manifests {
	var found manifests
	for _, object := range m {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	return found
}

// as returns an object as its Go type.
func as[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	typed := new(T)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true))
	return typed
}

// workload is whatever makes pods.
type workload struct {
	kind, name string
	template   corev1.PodTemplateSpec
	// selector is what it knows its pods by; a Job's is made by the API server.
	selector map[string]string
	replicas *int32
}

func (m manifests) workloads(t *testing.T) []workload {
	t.Helper()
	var workloads []workload
	for _, object := range m {
		w := workload{kind: object.GetKind(), name: object.GetName()}
		switch w.kind {
		case "Deployment":
			spec := as[appsv1.Deployment](t, object).Spec
			w.template, w.selector, w.replicas = spec.Template, spec.Selector.MatchLabels, spec.Replicas
		case "StatefulSet":
			spec := as[appsv1.StatefulSet](t, object).Spec
			w.template, w.selector, w.replicas = spec.Template, spec.Selector.MatchLabels, spec.Replicas
		case "Job":
			w.template = as[batchv1.Job](t, object).Spec.Template
		default:
			continue
		}
		workloads = append(workloads, w)
	}
	return workloads
}

func (m manifests) workload(t *testing.T, name string) workload {
	t.Helper()
	for _, w := range m.workloads(t) {
		if w.name == name {
			return w
		}
	}
	require.Fail(t, "no workload "+name)
	return workload{}
}

func TestEverythingRenders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		directory   string
		deployments []string
	}{
		{rights, nil},
		{relay, []string{"expander", "pauser", "updater", "watcher"}},
		{dev, []string{"expander", "pauser", "petset", "provisioner", "updater", "watcher"}},
		{production, []string{"expander", "pauser", "updater", "watcher"}},
		{definitions, nil},
		{standIns, nil},
	}
	for _, test := range tests {
		t.Run(test.directory, func(t *testing.T) {
			t.Parallel()
			var deployments []string
			for _, object := range render(t, test.directory) {
				if object.GetKind() == "Deployment" {
					deployments = append(deployments, object.GetName())
				}
				switch object.GetKind() {
				case "CustomResourceDefinition":
				default:
					require.Equal(t, "opsrelay", object.GetLabels()["app.kubernetes.io/part-of"], "%s %s", object.GetKind(), object.GetName())
				}
			}
			require.ElementsMatch(t, test.deployments, deployments)
		})
	}
}

// What kustomize warns about, it prints and nobody sees.
func TestNoKustomizationIsDeprecated(t *testing.T) {
	t.Parallel()
	checked := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		if entry.Name() != "kustomization.yaml" {
			return nil
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		var k types.Kustomization
		require.NoError(t, k.Unmarshal(data), path)
		require.Empty(t, k.EnforceFields(), path)
		require.Empty(t, *k.CheckDeprecatedFields(), path)
		checked++
		return nil
	}))
	require.Greater(t, checked, 8)
}

// decode returns an object as a type that need not be Kubernetes' own. A field
// that the type does not have is refused.
func decode[T any](t *testing.T, object *unstructured.Unstructured) T {
	t.Helper()
	data, err := object.MarshalJSON()
	require.NoError(t, err)
	var typed T
	require.NoError(t, yaml.UnmarshalStrict(data, &typed))
	return typed
}
