// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// requireEveryWriteIsThere requires that the scenarios came to every place in
// the services' sources that writes to Kubernetes: a new one without a scenario
// fails here.
func requireEveryWriteIsThere(t *testing.T, lists [][]point) {
	t.Helper()
	reached := map[string]bool{}
	for _, points := range lists {
		for _, p := range points {
			if _, function, ok := strings.Cut(p.name, " in "); ok {
				reached[function] = true
			}
		}
	}
	places := writes(t)
	require.NotEmpty(t, places)
	for place := range places {
		require.True(t, reached[place], "%s writes to Kubernetes and no scenario comes there: add one; reached: %v", place, reached)
	}
}

// option is what only a write to Kubernetes gets.
var option = regexp.MustCompile(`^metav1\.(Create|Update|Patch|Delete|Apply)Options\{|^&?policyv1\.Eviction\{`)

// writes lists the functions of the services that write to Kubernetes.
func writes(t *testing.T) map[string]bool {
	t.Helper()
	root, err := cluster.Root()
	require.NoError(t, err)
	places := map[string]bool{}
	for _, service := range stack.Relay {
		files, err := filepath.Glob(filepath.Join(root, service, "*.go"))
		require.NoError(t, err)
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, declaration := range file.Decls {
				if function, ok := declaration.(*ast.FuncDecl); ok && writesToKubernetes(function) {
					places[nameOf(file, function)] = true
				}
			}
		}
	}
	return places
}

func writesToKubernetes(function *ast.FuncDecl) bool {
	found := false
	ast.Inspect(function, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			for _, argument := range call.Args {
				found = found || option.MatchString(types.ExprString(argument))
			}
		}
		return true
	})
	return found
}

// nameOf is the function as its fault points name it.
func nameOf(file *ast.File, function *ast.FuncDecl) string {
	name := file.Name.Name + "."
	if function.Recv != nil {
		receiver := types.ExprString(function.Recv.List[0].Type)
		if strings.HasPrefix(receiver, "*") {
			receiver = "(" + receiver + ")"
		}
		name += receiver + "."
	}
	return name + function.Name.Name
}

// The product has none of it.
func TestNormalBuildHasNoFaultPoints(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	normal := filepath.Join(t.TempDir(), "opsrelay")
	require.NoError(t, stack.Build(normal, false))
	without, err := os.ReadFile(normal)
	require.NoError(t, err)
	with, err := os.ReadFile(binary)
	require.NoError(t, err)
	for _, text := range []string{"OPSRELAY_FAULTPOINTS", "before publish", "after publish", "before acknowledge", "before handle"} {
		require.True(t, bytes.Contains(with, []byte(text)), text)
		require.False(t, bytes.Contains(without, []byte(text)), text)
	}
}
