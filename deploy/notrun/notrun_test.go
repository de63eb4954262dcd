// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package notrun

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// log is what go 1.26 writes, shortened.
const log = `{"Action":"start","Package":"github.com/opsrelay/opsrelay/services/board"}
{"Action":"run","Package":"github.com/opsrelay/opsrelay/services/board","Test":"TestPage"}
{"Action":"output","Package":"github.com/opsrelay/opsrelay/services/board","Test":"TestPage","Output":"=== RUN   TestPage\n","OutputType":"frame"}
{"Action":"output","Package":"github.com/opsrelay/opsrelay/services/board","Test":"TestPage","Output":"    page_test.go:7: a word before\n"}
{"Action":"output","Package":"github.com/opsrelay/opsrelay/services/board","Test":"TestPage","Output":"    boardtest.go:75: NOT RUN: there is no Chromium: apt-get install chromium\n"}
{"Action":"output","Package":"github.com/opsrelay/opsrelay/services/board","Test":"TestPage","Output":"--- SKIP: TestPage (0.00s)\n","OutputType":"frame"}
{"Action":"skip","Package":"github.com/opsrelay/opsrelay/services/board","Test":"TestPage","Elapsed":0}
{"Action":"output","Package":"github.com/opsrelay/opsrelay/services/board","Test":"TestOther","Output":"    x_test.go:1: NOT RUN: said by a test that passes\n"}
{"Action":"pass","Package":"github.com/opsrelay/opsrelay/services/board","Test":"TestOther","Elapsed":0}
{"Action":"skip","Package":"github.com/opsrelay/opsrelay/services/kubedb","Test":"FuzzRoundTrip/seed#1","Elapsed":0}

{"Action":"output","Package":"github.com/opsrelay/opsrelay/deploy/e2e","Test":"TestBoardLive","Output":"    boardtest.go:75: NOT RUN: there is no Chromium: apt-get install chromium\n"}
{"Action":"skip","Package":"github.com/opsrelay/opsrelay/deploy/e2e","Test":"TestBoardLive","Elapsed":0}
{"Action":"skip","Package":"github.com/opsrelay/opsrelay/deploy/base","Elapsed":0}
`

func TestReadGroupsByReason(t *testing.T) {
	t.Parallel()
	groups, err := Read(strings.NewReader(log))
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, Print(&text, groups))
	require.Equal(t, `
NOT RUN: 2 tests: there is no Chromium: apt-get install chromium
  deploy/e2e: TestBoardLive
  services/board: TestPage

NOT RUN: 1 test: the test gives no reason
  services/kubedb: FuzzRoundTrip (1)
`, text.String())

	_, err = Read(strings.NewReader("no event\n"))
	require.Error(t, err)
	groups, err = Read(strings.NewReader(""))
	require.NoError(t, err)
	require.Empty(t, groups)
}

func TestLongListsAreCut(t *testing.T) {
	t.Parallel()
	require.Equal(t, "A, B (2)", names([]string{"B/one", "A", "B/two"}))
	require.Equal(t, "A, B, C, D, E, F, G, H, I, J, K, L and 2 more", names(strings.Split("NMLKJIHGFEDCBA", "")))
}
