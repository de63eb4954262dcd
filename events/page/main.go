// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Command page renders asyncapi.yaml and the schemas that it refers to as one web
// page for people, docs/asyncapi.html, without scripts. It writes to
// the standard output; `go generate ./events` keeps that.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/opsrelay/opsrelay/events"
)

func main() {
	page, err := render()
	if err == nil {
		_, err = os.Stdout.Write(page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

//go:embed page.html
var layout string

// render returns the page.
func render() ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(events.AsyncAPI, &document); err != nil {
		return nil, fmt.Errorf("asyncapi.yaml: %w", err)
	}
	functions := template.FuncMap{"at": at, "fields": fields, "is": is, "last": last, "users": users, "flat": flat, "schema": schema}
	page, err := template.New("page").Funcs(functions).Parse(layout)
	if err != nil {
		return nil, fmt.Errorf("page.html: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, document.Content[0]); err != nil {
		return nil, fmt.Errorf("page.html: %w", err)
	}
	return out.Bytes(), nil
}

// schema is one of the payloads' schemas. JSON is YAML, and keeps its order so.
func schema(name string) (*yaml.Node, error) {
	text, err := events.Schemas.ReadFile("schemas/" + name + ".json")
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("schemas/%s.json: %w", name, err)
	}
	return document.Content[0], nil
}

// field is a key of a document with its value.
type field struct {
	Name  string
	Value *yaml.Node
}

// fields are those of an object, in the order of the document.
func fields(node *yaml.Node) []field {
	var all []field
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(node.Content); i += 2 {
		all = append(all, field{Name: node.Content[i].Value, Value: node.Content[i+1]})
	}
	return all
}

// at is what a path of keys leads to; nil if there is nothing.
func at(node *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		var found *yaml.Node
		for _, f := range fields(node) {
			if f.Name == key {
				found = f.Value
			}
		}
		node = found
	}
	return node
}

// is reports whether a list has the value.
func is(list *yaml.Node, value string) bool {
	if list != nil {
		for _, item := range list.Content {
			if item.Value == value {
				return true
			}
		}
	}
	return false
}

// last is the last part of a reference's path.
func last(node *yaml.Node) string {
	if node == nil {
		return ""
	}
	return strings.TrimSuffix(node.Value[strings.LastIndex(node.Value, "/")+1:], ".json")
}

// users are the services that send to a channel or receive from it.
func users(document *yaml.Node, action, channel string) string {
	var names []string
	for _, operation := range fields(at(document, "operations")) {
		if at(operation.Value, "action").Value == action && last(at(operation.Value, "channel", "$ref")) == channel {
			name := operation.Name[:strings.IndexFunc(operation.Name, unicode.IsUpper)]
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, ", ")
}

// flat is a value on one line, without quotes.
func flat(node *yaml.Node) string {
	switch {
	case node == nil:
		return ""
	case node.Kind == yaml.ScalarNode:
		return node.Value
	}
	var parts []string
	for _, f := range fields(node) {
		parts = append(parts, f.Name+": "+flat(f.Value))
	}
	if node.Kind == yaml.SequenceNode {
		for _, item := range node.Content {
			parts = append(parts, flat(item))
		}
	}
	return strings.Join(parts, ", ")
}
