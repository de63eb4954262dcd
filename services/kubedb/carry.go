// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import "reflect"

// carry returns raw with the change from before to after applied to it. All three are trees of decoded JSON: before is
// the typed view of raw, after is that view as it is now. Where nothing changed, raw comes back as it is, with the
// fields that the typed view does not know and with its own spelling of those it does.
func carry(before, after, raw any) any {
	if reflect.DeepEqual(before, after) {
		return raw
	}
	switch after := after.(type) {
	case map[string]any:
		before, known := before.(map[string]any)
		raw, present := raw.(map[string]any)
		if known && present {
			return carryObject(before, after, raw)
		}
	case []any:
		before, known := before.([]any)
		raw, present := raw.([]any)
		if known && present && len(before) == len(raw) {
			return carryList(before, after, raw)
		}
	}
	return after
}

func carryObject(before, after, raw map[string]any) map[string]any {
	result := make(map[string]any, len(raw)+1)
	for name, value := range raw {
		if _, known := before[name]; !known {
			result[name] = value
		}
	}
	for name, value := range after {
		was, known := before[name]
		original, present := raw[name]
		switch {
		case !known:
			result[name] = value
		case present:
			result[name] = carry(was, value, original)
		case !reflect.DeepEqual(was, value):
			result[name] = value // the typed view shows a zero value for a field that raw does not have
		}
	}
	return result
}

// carryList pairs the elements of after with those of before, and so with those of raw: equal ones first, then those
// with the same key, then, if the length is unchanged, those in the same place. An element without a partner is new.
func carryList(before, after, raw []any) []any {
	partner := make([]int, len(after))
	taken := make([]bool, len(before))
	for i := range partner {
		partner[i] = -1
	}
	pair := func(same func(i, j int) bool) {
		for i := range after {
			for j := range before {
				if partner[i] < 0 && !taken[j] && same(i, j) {
					partner[i], taken[j] = j, true
				}
			}
		}
	}
	pair(func(i, j int) bool { return i == j && reflect.DeepEqual(after[i], before[j]) })
	pair(func(i, j int) bool { return reflect.DeepEqual(after[i], before[j]) })
	pair(func(i, j int) bool { return listKey(after[i]) != "" && listKey(after[i]) == listKey(before[j]) })
	pair(func(i, j int) bool {
		return i == j && len(after) == len(before) && listKey(after[i]) == "" && listKey(before[j]) == ""
	})

	result := make([]any, len(after))
	for i, value := range after {
		result[i] = value
		if j := partner[i]; j >= 0 {
			result[i] = carry(before[j], value, raw[j])
		}
	}
	return result
}

// listKey is what tells the elements of a list of objects apart in this API: the name, the type or the metadata's name.
func listKey(element any) string {
	object, _ := element.(map[string]any)
	for _, name := range []string{"name", "type", "alias"} {
		if key, ok := object[name].(string); ok && key != "" {
			return name + "=" + key
		}
	}
	metadata, _ := object["metadata"].(map[string]any)
	if key, ok := metadata["name"].(string); ok && key != "" {
		return "metadata.name=" + key
	}
	return ""
}
