// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMergePatch(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, before, after, want string }{
		{"same", `{"a":{"b":[1]}}`, `{"a":{"b":[1]}}`, ``},
		{"set, changed and removed", `{"a":1,"b":1,"c":1}`, `{"a":1,"b":2,"d":1}`, `{"b":2,"c":null,"d":1}`},
		{"nested", `{"a":{"b":{"c":1,"d":1}}}`, `{"a":{"b":{"c":2,"d":1}}}`, `{"a":{"b":{"c":2}}}`},
		{"list is replaced", `{"a":[1,2]}`, `{"a":[1]}`, `{"a":[1]}`},
		{"value became an object", `{"a":1}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{"large numbers", `{"a":9007199254740993}`, `{"a":9007199254740992}`, `{"a":9007199254740992}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			patch, err := MergePatch(json.RawMessage(test.before), json.RawMessage(test.after))
			require.NoError(t, err)
			require.Equal(t, test.want, string(patch))
		})
	}
	_, err := MergePatch(json.RawMessage(`{`), nil)
	require.Error(t, err)
}
