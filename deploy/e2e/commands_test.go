// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/opsrelay/user"
)

// prints requires that a command's output is what is in the golden file, but for
// what differs from run to run.
func (b *bundle) prints(golden, text string) {
	b.Helper()
	text = b.steady(text)
	file := filepath.Join("testdata", "commands", golden+".golden")
	if *update {
		require.NoError(b, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(b, os.WriteFile(file, []byte(text), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(b, err)
	require.Equal(b, string(want), text, "%s; to rewrite it: go test ./deploy/e2e -run 'TestCommand|TestDoctor' -update", file)
}

// unsteady is what differs from run to run, and what it becomes, in this order.
var unsteady = []struct {
	found *regexp.Regexp
	is    string
}{
	{regexp.MustCompile(`nats://127\.0\.0\.1:\d+|https://127\.0\.0\.1:\d+`), "URL"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`\b\d+\.\d{3} s\b`), "SECONDS"},
	{regexp.MustCompile(`\b(\d+[hms])+\b`), "AGE"},
	{regexp.MustCompile(`\bv?\d+\.\d+\.\d+\b`), "VERSION"},
	{regexp.MustCompile(`\b(messages|that wait|worked on|ask for work): \d+`), "$1: N"},
	{regexp.MustCompile(`\b\d+ of \d+ bytes`), "N of N bytes"},
	{regexp.MustCompile(`\bmessage \d+\b`), "message N"}, // probes are stored in between
	{regexp.MustCompile(`-expand-[a-z0-9]{5}\b`), "-expand-XXXXX"},
	{regexp.MustCompile(` {2,}`), "  "}, // the width of a column is that of the longest cell
}

func (b *bundle) steady(text string) string {
	text = strings.ReplaceAll(text, b.namespace, "NAMESPACE")
	for _, u := range unsteady {
		text = u.found.ReplaceAllString(text, u.is)
	}
	return text
}

// valid requires that what a command printed for programs is as its schema says.
func (b *bundle) valid(schema, text string) {
	b.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, source := range []fs.FS{events.Schemas, user.Schemas} {
		require.NoError(b, fs.WalkDir(source, "schemas", func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := fs.ReadFile(source, file)
			require.NoError(b, err)
			document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			require.NoError(b, err)
			return compiler.AddResource(document.(map[string]any)["$id"].(string), document)
		}))
	}
	compiled, err := compiler.Compile("https://opsrelay.dev/schemas/" + path.Join("commands", schema+".json"))
	require.NoError(b, err)
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(b, err, text)
	require.NoError(b, compiled.Validate(document), text)
}
