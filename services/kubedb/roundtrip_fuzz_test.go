// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
)

// FuzzRoundTrip reads any JSON object as each kind. What can be read is written as it came; and after a change of one
// field, taking that change back gives what came.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(database))
	f.Add([]byte(`{"spec":{"volumeExpansion":{"leaf":1e3,"mode":null}},"status":null}`))
	f.Add([]byte(`{"metadata":{"labels":{"a":"b"},"creationTimestamp":null},"spec":{"template":{"spec":{}},"volumeClaimTemplates":[{},{}]}}`))
	f.Add([]byte(`{"status":{"conditions":[{"type":"A"},{"type":"A","x":1},{}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := parseTree(data)
		if object, ok := tree.(map[string]any); err != nil || !ok || object == nil || !json.Valid(data) {
			t.Skip()
		}
		want, err := json.Marshal(tree)
		require.NoError(t, err)
		for _, object := range []runtime.Object{&Singlestore{}, &SinglestoreOpsRequest{}, &PetSet{}, &StatefulSet{}} {
			if json.Unmarshal(data, object) != nil {
				continue
			}
			written, err := json.Marshal(object.DeepCopyObject())
			require.NoError(t, err)
			require.Equal(t, string(want), string(written))
			checkChangeAndBack(t, object, want)
		}
	})
}

func checkChangeAndBack(t *testing.T, object runtime.Object, want []byte) {
	t.Helper()
	meta := object.(interface {
		GetGenerateName() string
		SetGenerateName(string)
	})
	before := meta.GetGenerateName()
	meta.SetGenerateName(before + "changed")
	changed, err := json.Marshal(object)
	require.NoError(t, err)
	require.True(t, bytes.Contains(changed, []byte("changed")))

	meta.SetGenerateName(before)
	back, err := json.Marshal(object)
	require.NoError(t, err)
	require.Equal(t, string(want), string(back))
}
