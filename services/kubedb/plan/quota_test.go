// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// Of all scopes, claims have that of their VolumeAttributesClass only.
func TestQuotaScopes(t *testing.T) {
	t.Parallel()
	gold := "gold"
	with := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: &gold}}
	without := &corev1.PersistentVolumeClaim{}
	scope := func(operator corev1.ScopeSelectorOperator, values ...string) corev1.ScopedResourceSelectorRequirement {
		return corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopeVolumeAttributesClass, Operator: operator, Values: values}
	}
	cases := []struct {
		name          string
		scope         corev1.ScopedResourceSelectorRequirement
		with, without bool
	}{
		{"exists", scope(corev1.ScopeSelectorOpExists), true, false},
		{"does not exist", scope(corev1.ScopeSelectorOpDoesNotExist), false, true},
		{"in", scope(corev1.ScopeSelectorOpIn, "gold", "silver"), true, false},
		{"in others", scope(corev1.ScopeSelectorOpIn, "silver"), false, false},
		{"not in", scope(corev1.ScopeSelectorOpNotIn, "gold"), false, true},
		{"of pods", corev1.ScopedResourceSelectorRequirement{ScopeName: corev1.ResourceQuotaScopeTerminating, Operator: corev1.ScopeSelectorOpExists}, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.with, inScope(c.scope, with))
			require.Equal(t, c.without, inScope(c.scope, without))
		})
	}
}
