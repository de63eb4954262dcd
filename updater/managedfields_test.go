// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package updater

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func entry(manager string, operation metav1.ManagedFieldsOperationType, subresource, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, APIVersion: "apps/v1", Subresource: subresource, FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(fields),
	}
}

func TestPutBack(t *testing.T) {
	t.Parallel()
	const apply, update = metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate
	ours := entry(manager, update, "", `{"f:spec":{}}`)
	gitops, helm := entry("gitops", apply, "", `{"f:a":{}}`), entry("helm", update, "", `{"f:b":{}}`)
	forced := entry("gitops", apply, "", `{"f:c":{}}`)
	scale, status := entry("gitops", update, "scale", `{}`), entry("kube-controller-manager", update, "status", `{"f:status":{}}`)
	for _, c := range []struct {
		name               string
		live, before, want []metav1.ManagedFieldsEntry
	}{
		{"all that was there", []metav1.ManagedFieldsEntry{ours, status}, []metav1.ManagedFieldsEntry{gitops, helm}, []metav1.ManagedFieldsEntry{status, gitops, helm}},
		{"somebody applied meanwhile", []metav1.ManagedFieldsEntry{ours, forced}, []metav1.ManagedFieldsEntry{gitops, helm}, []metav1.ManagedFieldsEntry{forced, helm}},
		{"who scaled it, and not its status", []metav1.ManagedFieldsEntry{ours}, []metav1.ManagedFieldsEntry{scale, status}, []metav1.ManagedFieldsEntry{scale}},
		{"ours of an earlier time", []metav1.ManagedFieldsEntry{ours}, []metav1.ManagedFieldsEntry{ours, helm}, []metav1.ManagedFieldsEntry{helm}},
		{"nobody's", []metav1.ManagedFieldsEntry{ours}, nil, []metav1.ManagedFieldsEntry{}},
		{"twice", []metav1.ManagedFieldsEntry{status, gitops, helm}, []metav1.ManagedFieldsEntry{gitops, helm}, []metav1.ManagedFieldsEntry{status, gitops, helm}},
	} {
		require.Equal(t, c.want, putBack(c.live, c.before), c.name)
	}
}

// Who owned the policy that is changed to delete a StatefulSet owns it again.
func TestFieldsOfThePolicy(t *testing.T) {
	t.Parallel()
	const policy = `"f:persistentVolumeClaimRetentionPolicy":{".":{},"f:whenDeleted":{},"f:whenScaled":{}}`
	before := []metav1.ManagedFieldsEntry{
		entry("gitops", metav1.ManagedFieldsOperationApply, "", `{"f:spec":{`+policy+`,"f:replicas":{}}}`),
		entry("somebody", metav1.ManagedFieldsOperationUpdate, "", `{"f:metadata":{}}`),
		entry("only", metav1.ManagedFieldsOperationUpdate, "", `{"f:spec":{`+policy+`}}`),
	}
	fields, err := fieldsAt(before, "f:spec", "f:persistentVolumeClaimRetentionPolicy")
	require.NoError(t, err)
	require.Len(t, fields, 2)
	require.JSONEq(t, `{"f:spec":{`+policy+`}}`, fields[0].FieldsV1.GetRawString())

	changed := []metav1.ManagedFieldsEntry{
		entry("gitops", metav1.ManagedFieldsOperationApply, "", `{"f:spec":{"f:persistentVolumeClaimRetentionPolicy":{"f:whenScaled":{}},"f:replicas":{}}}`),
		before[1],
	}
	restored, err := withFields(changed, fields)
	require.NoError(t, err)
	require.Len(t, restored, len(before))
	for i := range before {
		require.JSONEq(t, before[i].FieldsV1.GetRawString(), restored[i].FieldsV1.GetRawString())
	}
}
