// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/json"
)

// origin is the JSON an object was read from. It makes a typed object lossless: when the object is written, what changed
// in its Go fields is carried over to that JSON, and all the rest stays as it came.
//
// The bytes are never modified, so copies of an object may share them.
type origin struct {
	raw     []byte
	invalid error
}

// DeepCopyInto shares the bytes, which nobody modifies.
func (o *origin) DeepCopyInto(out *origin) { *out = *o }

// readWithOrigin decodes data into plain, a type without an UnmarshalJSON of its own, and remembers data. An unreadable spec is no
// error: a list is decoded as a whole, so one user's bad object would hide the objects of everybody. It is left empty,
// and invalid says why.
func readWithOrigin[P any](data []byte, plain *P, o *origin) error {
	err := checkExponents(data)
	if err == nil {
		err = json.Unmarshal(data, plain)
	}
	if err != nil {
		withoutSpec, parseErr := dropSpec(data)
		if parseErr != nil {
			return parseErr
		}
		*plain = *new(P)
		if json.Unmarshal(withoutSpec, plain) != nil {
			return err
		}
		o.invalid = fmt.Errorf("the spec cannot be read: %w", err)
	}
	o.raw = bytes.Clone(data)
	return nil
}

// writeWithOrigin encodes plain; if the object was read from JSON, as that JSON plus what changed in plain since.
func writeWithOrigin[P any](plain *P, o origin) ([]byte, error) {
	now, err := stdjson.Marshal(plain)
	if err != nil || o.raw == nil {
		return now, err
	}
	var asRead P
	if err := readWithOrigin(o.raw, &asRead, new(origin)); err != nil {
		return nil, err
	}
	before, err := stdjson.Marshal(&asRead)
	if err != nil {
		return nil, err
	}
	trees := [3]any{}
	for i, data := range [][]byte{before, now, o.raw} {
		if trees[i], err = parseTree(data); err != nil {
			return nil, err
		}
	}
	keepKind(trees[1], trees[2])
	return stdjson.Marshal(carry(trees[0], trees[1], trees[2]))
}

// keepKind restores apiVersion and kind, which a typed client clears when it decodes: an object never changes its kind.
func keepKind(now, raw any) {
	to, _ := now.(map[string]any)
	from, _ := raw.(map[string]any)
	for _, name := range []string{"apiVersion", "kind"} {
		if value, known := from[name]; known && to != nil && to[name] == nil {
			to[name] = value
		}
	}
}

// parseTree decodes JSON without loss: numbers keep their digits.
func parseTree(data []byte) (any, error) {
	decoder := stdjson.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var tree any
	err := decoder.Decode(&tree)
	return tree, err
}

// dropSpec returns the object without its spec.
func dropSpec(data []byte) ([]byte, error) {
	var fields map[string]stdjson.RawMessage
	if err := stdjson.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	delete(fields, "spec")
	return stdjson.Marshal(fields)
}
