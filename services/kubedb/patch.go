// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StatusPatch is a merge patch that replaces the given fields of an object's status, for the status subresource. The API
// server refuses it with a conflict if the object was changed since it was read: compare-and-swap, without the risk of an
// update that it drops fields which its writer does not know.
func StatusPatch(object metav1.Object, fields map[string]any) ([]byte, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": object.GetResourceVersion()},
		"status":   fields,
	})
	if err != nil {
		return nil, fmt.Errorf("patch the status of %s/%s: %w", object.GetNamespace(), object.GetName(), err)
	}
	return patch, nil
}

// ConditionRemovalPatch is a JSON patch that removes the condition of that type from an object's status, where conds are
// its conditions as they were seen and have one. The API server refuses it as invalid if another condition stands there by
// now, or one with another message; what else was changed in the object does not matter.
func ConditionRemovalPatch(object metav1.Object, conds []Condition, conditionType string) ([]byte, error) {
	at := indexOfCondition(conds, conditionType)
	path := fmt.Sprintf("/status/conditions/%d", at)
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": object.GetUID()},
		{"op": "test", "path": path + "/type", "value": conditionType},
		{"op": "test", "path": path + "/message", "value": conds[at].Message},
		{"op": "remove", "path": path},
	})
	if err != nil {
		return nil, fmt.Errorf("patch the status of %s/%s: %w", object.GetNamespace(), object.GetName(), err)
	}
	return patch, nil
}
