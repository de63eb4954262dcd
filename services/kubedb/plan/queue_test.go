// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// a request that was created some seconds after the others' beginning.
func at(seconds int, name string, kind kubedb.OpsRequestType, phase kubedb.OpsRequestPhase) *kubedb.SinglestoreOpsRequest {
	return &kubedb.SinglestoreOpsRequest{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000+int64(seconds), 0)),
		},
		Spec:   kubedb.SinglestoreOpsRequestSpec{Type: kind},
		Status: kubedb.OpsRequestStatus{Phase: phase},
	}
}

func TestPlaceOf(t *testing.T) {
	t.Parallel()
	const grow, restart = kubedb.TypeVolumeExpansion, kubedb.TypeRestart
	deleted := at(9, "deleted", grow, kubedb.OpsPending)
	deleted.DeletionTimestamp = &metav1.Time{}
	cases := []struct {
		name       string
		others     []*kubedb.SinglestoreOpsRequest
		skippedFor string
		behind     string
		position   int
	}{
		{"alone", nil, "", "", 1},
		{"behind one that runs", []*kubedb.SinglestoreOpsRequest{at(0, "a", grow, kubedb.OpsProgressing)}, "", "a", 2},
		{"one that runs, and a newer one: decided when it has ended", []*kubedb.SinglestoreOpsRequest{at(0, "a", grow, kubedb.OpsProgressing), at(9, "z", grow, "")}, "", "a", 2},
		{"a newer one of the type", []*kubedb.SinglestoreOpsRequest{at(9, "z", grow, "")}, "z", "", 0},
		{"the newest of several", []*kubedb.SinglestoreOpsRequest{at(8, "y", grow, ""), at(9, "z", grow, kubedb.OpsPending)}, "z", "", 0},
		{"an older one of the type, which is skipped", []*kubedb.SinglestoreOpsRequest{at(0, "a", grow, "")}, "", "", 1},
		{"as old, and the name decides, descending", []*kubedb.SinglestoreOpsRequest{at(5, "a", grow, "")}, "a", "", 0},
		{"as old, and this name decides", []*kubedb.SinglestoreOpsRequest{at(5, "z", grow, "")}, "", "", 1},
		{"an older one of another type", []*kubedb.SinglestoreOpsRequest{at(0, "a", restart, "")}, "", "a", 2},
		{"a newer one of another type", []*kubedb.SinglestoreOpsRequest{at(9, "z", restart, "")}, "", "", 1},
		{"a newer one that was deleted", []*kubedb.SinglestoreOpsRequest{deleted}, "", "", 1},
		{"one that waits for approval", []*kubedb.SinglestoreOpsRequest{at(0, "a", grow, kubedb.OpsWaitingForApproval)}, "", "", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			request := at(5, "m", grow, "")
			p := PlaceOf(request, append(c.others, request))
			name := func(r *kubedb.SinglestoreOpsRequest) string {
				if r == nil {
					return ""
				}
				return r.Name
			}
			require.Equal(t, c.skippedFor, name(p.SkippedFor))
			require.Equal(t, c.behind, name(p.Behind))
			require.Equal(t, c.position, p.Position)
		})
	}
}
