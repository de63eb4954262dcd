// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bus carries any step: it knows nothing of Kubernetes, nor do its tests.
func TestTheBusImportsNothingOfKubernetes(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"*.go", "bustest/*.go", "../safely/*.go", "../faultpoint/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, imported := range file.Imports {
				require.NotRegexp(t, `k8s\.io|services/kubedb`, imported.Path.Value, path)
			}
		}
	}
}
