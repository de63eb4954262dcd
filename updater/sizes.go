// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// databasePatch is a merge patch of the storage requests that are smaller than
// the new sizes, refused by the API server if the database was changed since it
// was read. It is nil when there is nothing to raise.
func databasePatch(db *kubedb.Singlestore, components []events.Component) ([]byte, error) {
	patch := map[string]any{"metadata": map[string]any{"resourceVersion": db.ResourceVersion}}
	for _, target := range components {
		component, ok := db.Component(target.Name)
		if !ok || component.Size() == nil {
			continue
		}
		size, err := sizeOf(target)
		if err != nil {
			return nil, err
		}
		smaller, err := isSmaller(component.Size(), size)
		if err != nil {
			return nil, err
		}
		if smaller {
			set(patch, size, append(component.StoragePath, "resources", "requests", "storage")...)
		}
	}
	if len(patch) == 1 {
		return nil, nil
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("update Singlestore %s/%s: %w", db.Namespace, db.Name, err)
	}
	return data, nil
}

// sizeOf is the size that all the component's volumes have.
func sizeOf(component events.Component) (string, error) {
	least := component.To
	for _, shared := range component.Shared {
		size, err := resource.ParseQuantity(shared.Size)
		if err != nil {
			return "", fmt.Errorf("size %q: %w", shared.Size, err)
		}
		if less, err := isSmaller(&size, least); err != nil {
			return "", err
		} else if less {
			least = shared.Size
		}
	}
	return least, nil
}

// set puts the value at the path into the tree.
func set(tree map[string]any, value any, path ...string) {
	for _, name := range path[:len(path)-1] {
		child, ok := tree[name].(map[string]any)
		if !ok {
			child = map[string]any{}
			tree[name] = child
		}
		tree = child
	}
	tree[path[len(path)-1]] = value
}

// tooSmall are the sizes of the StatefulSet's claim templates that are smaller than
// the component's volumes, as they are to be, by the templates' names.
func tooSmall(set *kubedb.StatefulSet, component events.Component) (map[string]string, error) {
	sizes := map[string]string{}
	for _, template := range set.Spec.VolumeClaimTemplates {
		size := component.Size(template.Name)
		smaller, err := isSmaller(template.Spec.Resources.Requests.Storage(), size)
		if err != nil {
			return nil, err
		}
		if smaller {
			sizes[template.Name] = size
		}
	}
	return sizes, nil
}

// raise writes the size into the claim template.
func raise(template *corev1.PersistentVolumeClaim, size string) {
	requests := corev1.ResourceList{}
	maps.Copy(requests, template.Spec.Resources.Requests)
	requests[corev1.ResourceStorage] = resource.MustParse(size)
	template.Spec.Resources.Requests = requests
}

// isSmaller reports whether the current size is below the new one.
func isSmaller(current *resource.Quantity, to string) (bool, error) {
	size, err := resource.ParseQuantity(to)
	if err != nil {
		return false, fmt.Errorf("size %q: %w", to, err)
	}
	return current.Cmp(size) < 0, nil
}
