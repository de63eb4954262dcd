// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Who creates an object owns all its fields, so that every server-side apply by
// those who owned them would conflict from then on, and what they leave out would
// stay. A create takes no managed fields; a patch does: they are put back after it.

// restore makes the StatefulSet as it was read what its predecessor was, if the
// updater created it: our label goes, and the managed fields come back. It reports
// whether anything was to be done.
func (u *Updater) restore(ctx context.Context, set, predecessor *kubedb.StatefulSet) (done bool, err error) {
	fields := putBack(set.ManagedFields, predecessor.ManagedFields)
	owned := len(fields) > 0 && slices.ContainsFunc(set.ManagedFields, isOurs) // an empty list would change nothing
	if _, labelled := set.Labels[Recreate]; !labelled && !owned {
		return false, nil
	}
	metadata := map[string]any{"labels": map[string]any{Recreate: nil}}
	if owned {
		metadata["managedFields"] = fields
	}
	return true, u.patch(ctx, set, map[string]any{"metadata": metadata})
}

// putBack is what is there but ours, and what was there before and is not any
// more. The status is the successor's own; the scale of the predecessor is not
// looked after by a controller, but by people.
func putBack(live, before []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	fields := others(live)
	for _, entry := range before {
		if entry.Subresource != "status" && !isOurs(entry) && !slices.ContainsFunc(fields, func(is metav1.ManagedFieldsEntry) bool { return sameManager(is, entry) }) {
			fields = append(fields, entry)
		}
	}
	return fields
}

// others are the entries of others.
func others(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	return slices.DeleteFunc(slices.Clone(entries), isOurs)
}

func isOurs(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == manager }

// sameManager reports whether two entries are of one manager, as the API server
// tells them apart.
func sameManager(a, b metav1.ManagedFieldsEntry) bool {
	return a.Manager == b.Manager && a.Operation == b.Operation && a.APIVersion == b.APIVersion && a.Subresource == b.Subresource
}

// fieldsAt narrows each entry to what it owns at the path, and leaves those out
// that own nothing there.
func fieldsAt(entries []metav1.ManagedFieldsEntry, path ...string) ([]metav1.ManagedFieldsEntry, error) {
	var narrowed []metav1.ManagedFieldsEntry
	for _, entry := range entries {
		tree, err := treeOf(entry)
		if err != nil {
			return nil, err
		}
		at, there := tree, true
		for _, name := range path {
			if at, there = at[name].(map[string]any); !there {
				break
			}
		}
		if !there {
			continue
		}
		only := map[string]any{}
		set(only, at, path...)
		if entry, err = withTree(entry, only); err != nil {
			return nil, err
		}
		narrowed = append(narrowed, entry)
	}
	return narrowed, nil
}

// withFields gives the managers back what fieldsAt found.
func withFields(entries, fields []metav1.ManagedFieldsEntry) ([]metav1.ManagedFieldsEntry, error) {
	entries = slices.Clone(entries)
	for _, back := range fields {
		at := slices.IndexFunc(entries, func(is metav1.ManagedFieldsEntry) bool { return sameManager(is, back) })
		if at < 0 {
			entries = append(entries, back)
			continue
		}
		tree, err := treeOf(entries[at])
		if err != nil {
			return nil, err
		}
		more, err := treeOf(back)
		if err != nil {
			return nil, err
		}
		merge(tree, more)
		if entries[at], err = withTree(entries[at], tree); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func merge(into, from map[string]any) {
	for name, value := range from {
		was, known := into[name].(map[string]any)
		child, isTree := value.(map[string]any)
		if known && isTree {
			merge(was, child)
		} else {
			into[name] = value
		}
	}
}

func treeOf(entry metav1.ManagedFieldsEntry) (map[string]any, error) {
	tree := map[string]any{}
	if entry.FieldsV1 == nil {
		return tree, nil
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &tree); err != nil {
		return nil, fmt.Errorf("managed fields of %s: %w", entry.Manager, err)
	}
	return tree, nil
}

func withTree(entry metav1.ManagedFieldsEntry, tree map[string]any) (metav1.ManagedFieldsEntry, error) {
	raw, err := json.Marshal(tree)
	if err != nil {
		return entry, fmt.Errorf("managed fields of %s: %w", entry.Manager, err)
	}
	entry.FieldsV1 = &metav1.FieldsV1{}
	entry.FieldsV1.SetRawBytes(raw)
	return entry, nil
}
