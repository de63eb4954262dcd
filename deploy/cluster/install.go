// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/opsrelay/opsrelay/deploy/base"
	"github.com/opsrelay/opsrelay/deploy/controllers"
	"github.com/opsrelay/opsrelay/deploy/crds"
)

// CRDEnv names a directory of custom resource definitions to install instead of
// ours: KubeDB's own, to see that everything works the same on them.
const CRDEnv = "OPSRELAY_CRDS"

// fieldManager owns what is applied here.
const fieldManager = "opsrelay-install"

// crdResource is where custom resource definitions are.
var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// Install makes a cluster without KubeDB complete: the custom resource
// definitions, the manifests of deploy/base and the stand-ins for KubeDB's
// controllers. It returns when every definition is served.
func Install(ctx context.Context, config *rest.Config) error {
	if err := InstallCRDs(ctx, config, Definitions()); err != nil {
		return err
	}
	if err := Apply(ctx, config, base.FS); err != nil {
		return err
	}
	return Apply(ctx, config, controllers.FS)
}

// Definitions are the custom resource definitions to install: ours, or those in
// the directory that [CRDEnv] names.
func Definitions() fs.FS {
	if directory := os.Getenv(CRDEnv); directory != "" {
		return os.DirFS(directory)
	}
	return crds.FS
}

// InstallCRDs applies every definition in files and waits until all are served.
func InstallCRDs(ctx context.Context, config *rest.Config, files fs.FS) error {
	objects, err := read(files)
	if err != nil {
		return err
	}
	if err := apply(ctx, config, objects); err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("install definitions: %w", err)
	}
	for _, object := range objects {
		if err := waitEstablished(ctx, client, object.GetName()); err != nil {
			return fmt.Errorf("definition %s is not served: %w", object.GetName(), err)
		}
	}
	return nil
}

func waitEstablished(ctx context.Context, client dynamic.Interface, name string) error {
	byName := func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
	definitions := client.Resource(crdResource)
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			byName(&options)
			return definitions.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			byName(&options)
			return definitions.Watch(ctx, options)
		},
	}
	_, err := watchtools.UntilWithSync(ctx, source, &unstructured.Unstructured{}, nil, func(event watch.Event) (bool, error) {
		object, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return false, nil
		}
		return established(object), nil
	})
	return err
}

func established(definition *unstructured.Unstructured) bool {
	conditions, _, err := unstructured.NestedSlice(definition.Object, "status", "conditions")
	if err != nil {
		return false // null until the first one is set
	}
	return slices.ContainsFunc(conditions, func(condition any) bool {
		c, ok := condition.(map[string]any)
		return ok && c["type"] == "Established" && c["status"] == "True"
	})
}

// Apply applies every object in files on the server's side, as
// `kubectl apply --server-side` would.
func Apply(ctx context.Context, config *rest.Config, files fs.FS) error {
	objects, err := read(files)
	if err != nil {
		return err
	}
	return apply(ctx, config, objects)
}

func apply(ctx context.Context, config *rest.Config, objects []*unstructured.Unstructured) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	discovery, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery))
	for _, object := range objects {
		kind := object.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", kind.Kind, object.GetName(), err)
		}
		var resource dynamic.ResourceInterface = client.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			resource = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
		}
		_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", kind.Kind, object.GetName(), err)
		}
	}
	return nil
}

// read returns the objects of every YAML file, in the files' order, namespaces
// first. Kustomizations are no objects of a cluster.
func read(files fs.FS) ([]*unstructured.Unstructured, error) {
	var first, rest []*unstructured.Unstructured
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		objects, err := readFile(files, path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		for _, object := range objects {
			switch object.GetKind() {
			case "Kustomization":
			case "Namespace":
				first = append(first, object)
			default:
				rest = append(rest, object)
			}
		}
		return nil
	})
	return append(first, rest...), err
}

func readFile(files fs.FS, path string) ([]*unstructured.Unstructured, error) {
	data, err := fs.ReadFile(files, path)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			// The real definitions carry a null that server-side apply refuses.
			unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
			objects = append(objects, object)
		}
	}
}
