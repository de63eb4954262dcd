// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

func TestWhoseARequestIs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	entry := func(manager, subresource string, second int) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(now.Add(time.Duration(second) * time.Second))
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &at, FieldsV1: metav1.NewFieldsV1(`{"f:status":{}}`)}
	}
	for name, c := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   string
		second int
	}{
		"the installation's":           {[]metav1.ManagedFieldsEntry{entry("kubectl", "", 9), entry("opsrelay-watcher.one", "status", 1)}, "one", 1},
		"a name with dots":             {[]metav1.ManagedFieldsEntry{entry("opsrelay-watcher.a.b", "status", 1)}, "a.b", 1},
		"the last one's":               {[]metav1.ManagedFieldsEntry{entry("opsrelay-watcher.two", "status", 2), entry("opsrelay-watcher.one", "status", 1)}, "two", 2},
		"version 1's":                  {[]metav1.ManagedFieldsEntry{entry("opsrelay-watcher", "status", 1)}, "", 1},
		"taken over from version 1":    {[]metav1.ManagedFieldsEntry{entry("opsrelay-watcher", "status", 1), entry("opsrelay-watcher.one", "status", 2)}, "one", 2},
		"no time":                      {[]metav1.ManagedFieldsEntry{{Manager: "opsrelay-watcher.one", Subresource: "status"}}, "one", -1},
		"not the status":               {[]metav1.ManagedFieldsEntry{entry("opsrelay-watcher.one", "", 1)}, "", -1},
		"somebody of a name like ours": {[]metav1.ManagedFieldsEntry{entry("opsrelay-watchers", "status", 1), entry("kubedb", "status", 2)}, "", -1},
		"nobody's":                     {nil, "", -1},
	} {
		request := &kubedb.SinglestoreOpsRequest{ObjectMeta: metav1.ObjectMeta{ManagedFields: c.fields}}
		var at time.Time
		if c.second >= 0 {
			at = now.Add(time.Duration(c.second) * time.Second)
		}
		for range 2 { // what is kept of it says the same
			installation, written := kubedb.InstallationOf(request)
			require.Equal(t, c.want, installation, name)
			require.True(t, at.Equal(written), name)
			kubedb.KeepInstallation(request)
			for _, kept := range request.ManagedFields {
				require.Nil(t, kept.FieldsV1, name)
			}
		}
	}
}

func TestWhatCanNameAnInstallation(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", 111)
	for _, name := range []string{"opsrelay", "local", "a.b", "the 2nd", longest} {
		require.NoError(t, kubedb.CheckInstallation(name), name)
		require.LessOrEqual(t, len(kubedb.WatcherManager(name)), 128)
	}
	for _, name := range []string{"", longest + "x", "a\nb", "\xff"} {
		require.ErrorContains(t, kubedb.CheckInstallation(name), "cannot name an installation", name)
	}
}
