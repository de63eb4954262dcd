// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCarry(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                     string
		before, after, raw, want string
	}{
		{"nothing changed", `{"a":1}`, `{"a":1}`, `{"a":"1","x":2}`, `{"a":"1","x":2}`},
		{"value changed", `{"a":1,"b":1}`, `{"a":2,"b":1}`, `{"a":"1","b":"1"}`, `{"a":2,"b":"1"}`},
		{"zero value stays absent", `{"a":0,"b":1}`, `{"a":0,"b":2}`, `{"b":1}`, `{"b":2}`},
		{"zero value set", `{"a":0}`, `{"a":1}`, `{}`, `{"a":1}`},
		{"field added", `{}`, `{"a":{"b":1}}`, `{"x":1}`, `{"a":{"b":1},"x":1}`},
		{"field removed", `{"a":1}`, `{}`, `{"a":1,"x":1}`, `{"x":1}`},
		{"null read as empty", `{"a":{}}`, `{"a":{"b":1}}`, `{"a":null}`, `{"a":{"b":1}}`},
		{"list appended", `[{"v":1}]`, `[{"v":1},{"v":2}]`, `[{"v":1,"x":1}]`, `[{"v":1,"x":1},{"v":2}]`},
		{"list changed in place", `[{"v":1},{"v":1}]`, `[{"v":1},{"v":2}]`, `[{"v":1,"x":1},{"v":1,"x":2}]`, `[{"v":1,"x":1},{"v":2,"x":2}]`},
		{"first of equals changed", `[{"v":1},{"v":1}]`, `[{"v":2},{"v":1}]`, `[{"v":1,"x":1},{"v":1,"x":2}]`, `[{"v":2,"x":1},{"v":1,"x":2}]`},
		{"keyed item moved and changed", `[{"name":"a","v":1},{"name":"b"}]`, `[{"name":"b"},{"name":"a","v":2}]`,
			`[{"name":"a","v":1,"x":1},{"name":"b","x":2}]`, `[{"name":"b","x":2},{"name":"a","v":2,"x":1}]`},
		{"keyed item replaced", `[{"name":"a"}]`, `[{"name":"b"}]`, `[{"name":"a","x":1}]`, `[{"name":"b"}]`},
		{"type of the value changed", `{"a":[1]}`, `{"a":"s"}`, `{"a":[1]}`, `{"a":"s"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			trees := [3]any{}
			for i, text := range []string{test.before, test.after, test.raw} {
				var err error
				trees[i], err = parseTree([]byte(text))
				require.NoError(t, err)
			}
			require.JSONEq(t, test.want, encode(t, carry(trees[0], trees[1], trees[2])))
		})
	}
}
