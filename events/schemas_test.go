// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"bytes"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// schemaURL is the name of a file in [events.Schemas].
func schemaURL(file string) string {
	return strings.Replace(events.SchemaURL, "operation.json", file, 1)
}

// schemas are those of the payloads and, in asyncapi.yaml, of the headers.
func schemas(t *testing.T) *jsonschema.Compiler {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, file := range []string{"operation.json", "progress.json"} {
		document := schema(t, file)
		require.Equal(t, schemaURL(file), document["$id"])
		require.Equal(t, "https://json-schema.org/draft/2020-12/schema", document["$schema"])
		require.NoError(t, compiler.AddResource(schemaURL(file), document))
	}
	require.NoError(t, compiler.AddResource(asyncAPIURL, asyncAPI(t)))
	return compiler
}

func schema(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := events.Schemas.ReadFile("schemas/" + file)
	require.NoError(t, err)
	return object(t, text)
}

// object is JSON as the validator wants it.
func object(t *testing.T, text []byte) map[string]any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	require.IsType(t, map[string]any{}, document)
	return document.(map[string]any)
}

func TestEveryFactIsValidByItsSchemas(t *testing.T) {
	t.Parallel()
	compiler := schemas(t)
	payload, err := compiler.Compile(events.SchemaURL)
	require.NoError(t, err)
	require.NoError(t, payload.Validate(object(t, golden(t, "expanded-recovered").Data)))
	for _, fact := range events.Facts() {
		message := golden(t, string(fact))
		require.NoError(t, payload.Validate(object(t, message.Data)), fact)
		require.NoError(t, payload.Validate(object(t, withUnknownField(message.Data))), "what a newer writer adds is valid")

		headers, err := compiler.Compile(asyncAPIURL + "#/components/messages/" + string(fact) + "/headers")
		require.NoError(t, err)
		values := map[string]any{"Nats-Msg-Id": message.Header.Get(events.HeaderID)}
		for name := range message.Header {
			values[name] = message.Header.Get(name)
			require.Contains(t, at(t, asyncAPI(t), "components", "schemas", "headers", "properties"), name)
		}
		require.NoError(t, headers.Validate(values), fact)
		values[events.HeaderType] = events.Type("singlestore", "inspected")
		require.Error(t, headers.Validate(values), fact)
		delete(values, events.HeaderType)
		require.Error(t, headers.Validate(values), fact)
	}
}

func TestProgressIsValidByItsSchema(t *testing.T) {
	t.Parallel()
	compiled, err := schemas(t).Compile(schemaURL("progress.json"))
	require.NoError(t, err)
	message := golden(t, "progress")
	require.NoError(t, compiled.Validate(object(t, message.Data)))
	require.NoError(t, compiled.Validate(object(t, withUnknownField(message.Data))))
}

// A schema that lets everything pass proves nothing.
func TestTheSchemasRefuseWhatIsNoneOfTheContract(t *testing.T) {
	t.Parallel()
	for file, spoilers := range map[string]map[string]func(map[string]any){
		"operation.json": {
			"no database":      func(o map[string]any) { delete(o, "database") },
			"no uid":           func(o map[string]any) { delete(o["request"].(map[string]any), "uid") },
			"unknown mode":     func(o map[string]any) { o["mode"] = "online" },
			"time in seconds":  func(o map[string]any) { o["deadline"] = 12 },
			"time without day": func(o map[string]any) { o["deadline"] = "12:00:00Z" },
			"text as history":  func(o map[string]any) { o["history"] = []any{"paused"} },
			"size as number":   func(o map[string]any) { o["components"].([]any)[0].(map[string]any)["to"] = 1 },
		},
		"progress.json": {
			"no claim":      func(o map[string]any) { delete(o, "claim") },
			"empty claim":   func(o map[string]any) { o["claim"] = "" },
			"no reference":  func(o map[string]any) { o["request"] = map[string]any{} },
			"no time":       func(o map[string]any) { o["time"] = "" },
			"state unknown": func(o map[string]any) { o["state"] = nil },
		},
	} {
		compiled, err := schemas(t).Compile(schemaURL(file))
		require.NoError(t, err)
		for name, spoil := range spoilers {
			document := object(t, golden(t, map[string]string{"operation.json": "paused", "progress.json": "progress"}[file]).Data)
			spoil(document)
			require.Error(t, compiled.Validate(document), name)
		}
	}
}

// The schemas know every field of the Go types that are on the wire, and no
// other.
func TestTheSchemasAreThoseOfTheTypes(t *testing.T) {
	t.Parallel()
	documents := map[string]map[string]any{}
	require.NoError(t, fs.WalkDir(events.Schemas, "schemas", func(_ string, entry fs.DirEntry, err error) error {
		if !entry.IsDir() {
			documents[entry.Name()] = schema(t, entry.Name())
		}
		return err
	}))
	require.Len(t, documents, 2)
	sameFields(t, documents, documents["operation.json"], reflect.TypeFor[events.Operation]())
	sameFields(t, documents, documents["progress.json"], reflect.TypeFor[events.Progress]())
}

// sameFields compares a schema with a type of this package, and what both are
// made of.
func sameFields(t *testing.T, documents map[string]map[string]any, schema any, goType reflect.Type) {
	t.Helper()
	require.NotContains(t, schema, "additionalProperties", "the contract grows by addition")
	properties := at(t, schema, "properties").(map[string]any)
	var names []string
	var required []any
	for field := range goType.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
		if options == "" {
			required = append(required, name)
		}
		require.Contains(t, properties, name, goType)
		require.NotEmpty(t, at(t, properties, name, "description"), "%s of %s", name, goType)
		if part := element(field.Type); part.Kind() == reflect.Struct && part.PkgPath() == goType.PkgPath() {
			sameFields(t, documents, resolved(t, documents, properties[name]), part)
		}
	}
	require.Len(t, properties, len(names), goType)
	require.ElementsMatch(t, required, at(t, schema, "required"), goType)
}

// element is what a type is a list of or a pointer to, or the type itself.
func element(goType reflect.Type) reflect.Type {
	if kind := goType.Kind(); kind == reflect.Slice || kind == reflect.Pointer {
		return goType.Elem()
	}
	return goType
}

// resolved is the schema that a property, or the items of one, refers to.
func resolved(t *testing.T, documents map[string]map[string]any, property any) any {
	t.Helper()
	if items, ok := property.(map[string]any)["items"]; ok {
		property = items
	}
	file, fragment, _ := strings.Cut(at(t, property, "$ref").(string), "#/")
	if file == "" {
		file = "operation.json"
	}
	return at(t, documents[file], strings.Split(fragment, "/")...)
}
