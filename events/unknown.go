// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"

	"github.com/nats-io/nats.go"
)

// A service may be older than the one before it and the one behind it. What it does
// not know of an event it hands on: members of the payload stay where they stood,
// and with the component, volume or fact of the past that they stood in.

// unknown is what this version does not know of an object of the payload.
type unknown struct {
	// members are those of the object itself.
	members map[string]any
	// within is what is unknown within its members, elements within those of a list
	// by what names them.
	within, elements map[string]*unknown
}

// treeOf reads any JSON, its numbers as they are written.
func treeOf(data []byte) (tree any, _ error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return tree, decoder.Decode(&tree)
}

// unknownOf finds what the type has no field for; nil if there is nothing.
func unknownOf(tree any, t reflect.Type) *unknown {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	found := &unknown{members: map[string]any{}, within: map[string]*unknown{}, elements: map[string]*unknown{}}
	switch value := tree.(type) {
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return nil
		}
		for name, member := range value {
			known, field, ok := fieldOf(t, name)
			if !ok {
				found.members[name] = member
			} else if u := unknownOf(member, field); u != nil {
				found.within[known] = u
			}
		}
	case []any:
		if t.Kind() != reflect.Slice {
			return nil
		}
		for _, element := range value {
			if u := unknownOf(element, t.Elem()); u != nil {
				found.elements[nameOf(element)] = u
			}
		}
	}
	if len(found.members)+len(found.within)+len(found.elements) == 0 {
		return nil
	}
	return found
}

// fieldOf finds the field that a member of the name is read into, as encoding/json
// does, which prefers no spelling.
func fieldOf(t reflect.Type, member string) (name string, _ reflect.Type, ok bool) {
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.IsExported() && strings.EqualFold(name, member) {
			return name, field.Type, true
		}
	}
	return "", nil, false
}

// nameOf is what names an element of a list of the payload.
func nameOf(element any) string {
	object, _ := element.(map[string]any)
	for _, name := range []string{"name", "claim", "template", "fact"} {
		if value, ok := object[name].(string); ok {
			return value
		}
	}
	return ""
}

// into returns the payload with what is unknown where it stood.
func (u *unknown) into(data []byte) ([]byte, error) {
	if u == nil {
		return data, nil
	}
	tree, err := treeOf(data)
	if err != nil {
		return nil, err
	}
	u.put(tree)
	return json.Marshal(tree)
}

// put adds what is unknown to a tree.
func (u *unknown) put(tree any) {
	switch value := tree.(type) {
	case map[string]any:
		maps.Copy(value, u.members)
		for name, within := range u.within {
			within.put(value[name])
		}
	case []any:
		for _, element := range value {
			if within := u.elements[nameOf(element)]; within != nil {
				within.put(element)
			}
		}
	}
}

// carried reports whether a header that this version does not know is handed on:
// CloudEvents' extension attributes, and what W3C Trace Context has beside the
// parent. What is said to the broker is not.
func carried(name string) bool {
	switch name {
	case HeaderSpecVersion, HeaderID, HeaderSource, HeaderType, HeaderSubject, HeaderTime, HeaderDataContentType, HeaderDataSchema,
		HeaderCorrelationID, HeaderCluster, HeaderTraceParent, HeaderTraceOrigin:
		return false
	case "tracestate", "baggage":
		return true
	default:
		return strings.HasPrefix(name, "ce-")
	}
}

// extensions are the headers that are handed on; nil if there are none.
func extensions(header nats.Header) nats.Header {
	var found nats.Header
	for name, values := range header {
		if carried(name) && len(values) > 0 {
			if found == nil {
				found = nats.Header{}
			}
			found[name] = []string{escape(unescape(values[0]))}
		}
	}
	return found
}

// readPayload reads a payload, and what is unknown of it. Mostly nothing is, which
// one pass finds.
func readPayload(data []byte) (op Operation, _ *unknown, _ error) {
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if strict.Decode(&op) == nil {
		if _, err := strict.Token(); errors.Is(err, io.EOF) {
			return op, nil, nil
		}
	}
	op = Operation{}
	if err := json.Unmarshal(data, &op); err != nil {
		return op, nil, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	tree, err := treeOf(data)
	if err != nil {
		return op, nil, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	return op, unknownOf(tree, reflect.TypeFor[Operation]()), nil
}
