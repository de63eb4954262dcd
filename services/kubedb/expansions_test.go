// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExpansionsOfAClaim(t *testing.T) {
	t.Parallel()
	claim := &corev1.PersistentVolumeClaim{}
	require.Empty(t, Expansions(claim))

	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var times []time.Time
	for i := range 30 {
		times = append(times, noon.Add(time.Duration(i)*time.Hour))
		claim.ObjectMeta = metav1.ObjectMeta{Annotations: map[string]string{AnnotationExpansions: WithExpansion(claim, times[i])}}
	}
	require.Equal(t, times[10:], Expansions(claim), "the newest are kept, in order")

	claim.Annotations[AnnotationExpansions] = "yesterday,,2026-11-22T12:00:00Z"
	require.Equal(t, times[:1], Expansions(claim), "what somebody else wrote there hurts nobody")
	require.Equal(t, 1, strings.Count(WithExpansion(claim, noon), ","))
}
