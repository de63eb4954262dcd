// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyATextThatIsANumberIsTakenForOne(t *testing.T) {
	t.Parallel()
	for text, may := range map[string]bool{
		`{"a":"1e999"}`:      true,
		`{"a":1e+999}`:       true,
		`{"a":"-1.5E-1000"}`: true,
		`{"a":[1,2e100]}`:    true,
		`1e100`:              true,
		`{"a":"1e99"}`:       false,
		`{"a":"10Gi"}`:       false,
		`{"uid":"12e45678-0123-4e56-8abc-3e5123456789"}`: false,
		`{"uid":"a12e4567-0123-4567-89ab-0123456789ab"}`: false,
		`{"message":"e100 12ex 1e"}`:                     false,
		``:                                               false,
	} {
		require.Equal(t, may, mayHaveHugeExponent([]byte(text)), text)
	}
}
