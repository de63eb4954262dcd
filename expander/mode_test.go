// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// A mode of a newer version is refused before anything is looked at or written: as
// Online it would grow volumes under running pods.
func TestD02_AnUnknownModeIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []events.Mode{"Hybrid", "online", ""} {
		e := events.Event{Fact: events.Paused, Operation: events.Operation{Mode: mode, Database: events.Reference{Kind: "Singlestore", Namespace: "demo", Name: "sdb"}}}
		_, err := (&Expander{}).Handle(t.Context(), e, nil)
		var failure *events.Failure
		require.ErrorAs(t, err, &failure)
		require.Equal(t, ReasonModeNotSupported, failure.Reason)
		require.Equal(t, "Singlestore demo/sdb", failure.Object)
	}
}
