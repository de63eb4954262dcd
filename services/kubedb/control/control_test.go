// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is an API of one list and one watch.
type source struct {
	list  corev1.ConfigMapList
	watch *watch.FakeWatcher
}

func (s *source) List(context.Context, metav1.ListOptions) (*corev1.ConfigMapList, error) {
	return &s.list, nil
}

func (s *source) Watch(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if options.SendInitialEvents != nil {
		return nil, errors.New("streaming lists are not supported")
	}
	return s.watch, nil
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name, ResourceVersion: "1"}}
}

func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "demo", Name: name}
}

func keys(obj any) []types.NamespacedName {
	return []types.NamespacedName{key(obj.(*corev1.ConfigMap).Name)}
}

// start runs a loop over a source that lists "listed"; syncs reports each sync.
func start(t *testing.T, sync func(types.NamespacedName) error) (loop *control.Loop, events *watch.FakeWatcher, syncs chan types.NamespacedName) {
	t.Helper()
	syncs = make(chan types.NamespacedName)
	from := &source{watch: watch.NewFake()}
	from.list.Items = []corev1.ConfigMap{*configMap("listed")}
	loop = control.New("test", 2, func(ctx context.Context, key types.NamespacedName) error {
		select {
		case syncs <- key:
		case <-ctx.Done():
		}
		return sync(key)
	})
	require.NoError(t, loop.Watch(kubedb.NewInformer(from, &corev1.ConfigMap{}), keys))
	require.False(t, loop.HasSynced())

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return loop, from.watch, syncs
}

func next(t *testing.T, syncs <-chan types.NamespacedName) string {
	t.Helper()
	select {
	case key := <-syncs:
		return key.Name
	case <-time.After(10 * time.Second):
		require.FailNow(t, "nothing was synced")
		return ""
	}
}

func TestEventsAreSynced(t *testing.T) {
	t.Parallel()
	loop, events, syncs := start(t, func(types.NamespacedName) error { return nil })
	require.Equal(t, "listed", next(t, syncs))
	require.True(t, loop.HasSynced())
	events.Add(configMap("added"))
	require.Equal(t, "added", next(t, syncs))
	events.Modify(configMap("listed"))
	require.Equal(t, "listed", next(t, syncs))
	events.Delete(configMap("added"))
	require.Equal(t, "added", next(t, syncs))
	loop.AddAfter(key("later"), time.Millisecond)
	require.Equal(t, "later", next(t, syncs))
}

func TestFailedSyncIsRetried(t *testing.T) {
	t.Parallel()
	var failures atomic.Int32
	_, events, syncs := start(t, func(key types.NamespacedName) error {
		if key.Name != "listed" {
			return nil
		}
		switch failures.Add(1) {
		case 1:
			return errors.New("not yet")
		case 2:
			panic("a defect of one object is not the process's end")
		default:
			return nil
		}
	})
	for range 3 {
		require.Equal(t, "listed", next(t, syncs))
	}
	events.Add(configMap("added"))
	require.Equal(t, "added", next(t, syncs), "what succeeded is not tried again")
}

func TestRunEndsWithoutAnAPIServer(t *testing.T) {
	t.Parallel()
	loop := control.New("test", 0, func(context.Context, types.NamespacedName) error { return nil })
	require.NoError(t, loop.Watch(kubedb.NewInformer(unreachable{}, &corev1.ConfigMap{}), nil))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.NoError(t, loop.Run(ctx))
	require.False(t, loop.HasSynced())
}

type unreachable struct{}

func (unreachable) List(context.Context, metav1.ListOptions) (*corev1.ConfigMapList, error) {
	return nil, errors.New("connection refused")
}

func (unreachable) Watch(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return nil, errors.New("connection refused")
}
