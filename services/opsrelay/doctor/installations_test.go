// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

func TestWhichInstallationsMeet(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	request := func(namespace, installation string, phase kubedb.OpsRequestPhase, age time.Duration) kubedb.SinglestoreOpsRequest {
		at := metav1.NewTime(now.Add(-age))
		return kubedb.SinglestoreOpsRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "grow", Namespace: namespace, ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: kubedb.WatcherManager(installation), Subresource: "status", Time: &at},
			}},
			Status: kubedb.OpsRequestStatus{Phase: phase},
		}
	}
	const ended, underWay = kubedb.OpsSuccessful, kubedb.OpsProgressing
	for name, c := range map[string]struct {
		requests []kubedb.SinglestoreOpsRequest
		want     string
	}{
		"one":                   {[]kubedb.SinglestoreOpsRequest{request("a", "one", underWay, 0), request("a", "one", ended, 0)}, ""},
		"namespaces divided":    {[]kubedb.SinglestoreOpsRequest{request("a", "one", underWay, 0), request("b", "two", underWay, 0)}, ""},
		"version 1 was there":   {[]kubedb.SinglestoreOpsRequest{request("a", "one", underWay, 0), request("a", "", ended, 0)}, ""},
		"another, long ago":     {[]kubedb.SinglestoreOpsRequest{request("a", "one", underWay, 0), request("a", "two", ended, 2*time.Hour)}, ""},
		"both at work":          {[]kubedb.SinglestoreOpsRequest{request("a", "two", ended, 0), request("a", "one", ended, 0)}, `requests of namespace a are answered by 2 installations: "one" (grow), "two" (grow)`},
		"one has left its work": {[]kubedb.SinglestoreOpsRequest{request("a", "two", underWay, 48*time.Hour), request("a", "one", ended, 0)}, `requests of namespace a are answered by 2 installations: "one" (grow), "two" (grow)`},
	} {
		found := installations(c.requests, now)
		if c.want == "" {
			require.Empty(t, found, name)
			continue
		}
		require.Len(t, found, 1, name)
		require.Equal(t, Warning, found[0].Verdict)
		require.Equal(t, c.want, found[0].Found)
		require.NotEmpty(t, found[0].Next)
	}
}
