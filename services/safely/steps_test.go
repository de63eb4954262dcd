// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package safely_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the services start for a request they start in a [safely.Group]: nothing
// else keeps a panic from ending the process.
func TestTheServicesStartNoGoroutineThatMayEndTheProcess(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"watcher", "pauser", "expander", "updater"} {
		files, err := filepath.Glob(filepath.Join("..", "..", service, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, imported := range file.Imports {
				require.NotEqual(t, `"golang.org/x/sync/errgroup"`, imported.Path.Value, path)
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if statement, ok := node.(*ast.GoStmt); ok {
					t.Errorf("%s: a plain go statement: use safely.Group", set.Position(statement.Pos()))
				}
				return true
			})
		}
	}
}
