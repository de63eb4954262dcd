// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// KubeDB's definition lets everything pass as the name of a database. It is refused
// at once, in few words, and fills no stream.
func TestC16_WhatIsNoNameIsRefused(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.allowAnyName()
	names := []string{"demo/x", "..", "a%b", strings.Repeat("x", 400<<10), strings.Repeat("x", 1<<20)}
	requests := make([]string, len(names))
	for i, name := range names {
		requests[i] = "grow-" + string(rune('a'+i))
		b.create(fixture.Expansion(requests[i], name, fixture.Sizes{Node: "2Gi"}))
	}
	for _, name := range requests {
		request := b.ended(name)
		require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
		message := fixture.FailureOf(request)
		require.Contains(t, message, ": "+plan.ReasonInvalidRequest+": spec.databaseRef.name: no object can be called ")
		require.Less(t, len(message), 1000)
	}
	conn, err := b.stack.Connect(b.ctx, "test")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(b.ctx)) }()
	stream, err := conn.JetStream().Stream(b.ctx, events.Stream)
	require.NoError(t, err)
	state := stream.CachedInfo().State
	require.EqualValues(t, len(names), state.Msgs)
	require.Less(t, state.Bytes, uint64(len(names)*4<<10))
}

// allowAnyName takes the rules for names out of our definition of requests, and
// waits until they are gone.
func (b *bundle) allowAnyName() {
	b.Helper()
	if realCRDs() {
		return
	}
	client, err := dynamic.NewForConfig(b.stack.Cluster.Config())
	require.NoError(b, err)
	const name = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/databaseRef/properties/name/"
	definitions := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	_, err = client.Resource(definitions).Patch(b.ctx, "singlestoreopsrequests.ops.kubedb.com", types.JSONPatchType,
		[]byte(`[{"op":"remove","path":"`+name+`pattern"},{"op":"remove","path":"`+name+`maxLength"}]`), metav1.PatchOptions{})
	require.NoError(b, err)
	for {
		_, err := b.client.SinglestoreOpsRequests(b.namespace).Create(b.ctx, fixture.Expansion("try", "a/b", fixture.Sizes{Node: "2Gi"}),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return
		}
		require.True(b, apierrors.IsInvalid(err), "%v", err)
		require.NoError(b, b.ctx.Err())
	}
}
