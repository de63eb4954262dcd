// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	stdjson "encoding/json"
	"fmt"
	"reflect"
)

// MergePatch returns the JSON merge patch that turns before into after, or nil if they are the same. For the kinds of
// this package it holds nothing but what was changed. A list that differs is replaced as a whole, so add the
// resourceVersion to the patch (set it in after, clear it in before) when somebody else may write to the list.
func MergePatch(before, after any) ([]byte, error) {
	trees := [2]map[string]any{}
	for i, object := range []any{before, after} {
		data, err := stdjson.Marshal(object)
		if err != nil {
			return nil, fmt.Errorf("merge patch: %w", err)
		}
		tree, err := parseTree(data)
		if err != nil {
			return nil, fmt.Errorf("merge patch: %w", err)
		}
		trees[i], _ = tree.(map[string]any)
	}
	patch := mergePatch(trees[0], trees[1])
	if len(patch) == 0 {
		return nil, nil
	}
	return stdjson.Marshal(patch)
}

func mergePatch(before, after map[string]any) map[string]any {
	patch := map[string]any{}
	for name := range before {
		if _, kept := after[name]; !kept {
			patch[name] = nil
		}
	}
	for name, value := range after {
		was, known := before[name]
		if known && reflect.DeepEqual(was, value) {
			continue
		}
		from, wasObject := was.(map[string]any)
		to, isObject := value.(map[string]any)
		if known && wasObject && isObject {
			patch[name] = mergePatch(from, to)
		} else {
			patch[name] = value
		}
	}
	return patch
}
