// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/updater"
)

// keep is a finalizer of somebody's, which holds what is deleted.
const keep = "example.com/keep"

// youngPods is a StatefulSet that somebody keeps while it is deleted, and whose pod
// and claim belong to it after the garbage collector has looked: as after an
// adoption that it had not seen.
func youngPods(l *lane, n int) {
	l.createOnStatefulSet(standalone("young"))
	core := shared.Clients.Core
	sets := core.AppsV1().StatefulSets(l.namespace)
	patch := func(body string) {
		_, err := sets.Patch(l.ctx, "young", types.MergePatchType, []byte(body), metav1.PatchOptions{})
		require.NoError(l.t, err)
	}
	patch(`{"metadata":{"finalizers":["` + keep + `"]}}`)
	request := expansion(fmt.Sprintf("grow-%d", n), "young", 1+n, 0, 0)
	request.Spec.Apply = kubedb.ApplyAlways // nobody says of it that it is Ready
	l.create(request)
	var going *kubedb.StatefulSet
	require.NoError(l.t, l.client.WaitStatefulSet(l.ctx, l.namespace, "young", func(set *kubedb.StatefulSet) bool {
		going = set
		return set != nil && set.DeletionTimestamp != nil && slices.Equal(set.Finalizers, []string{keep, updater.Recreate})
	}))
	owned, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"ownerReferences": []metav1.OwnerReference{*metav1.NewControllerRef(going, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
	}})
	require.NoError(l.t, err)
	_, err = core.CoreV1().Pods(l.namespace).Patch(l.ctx, "young-0", types.MergePatchType, owned, metav1.PatchOptions{})
	require.NoError(l.t, err)
	_, err = core.CoreV1().PersistentVolumeClaims(l.namespace).Patch(l.ctx, "data-young-0", types.MergePatchType, owned, metav1.PatchOptions{})
	require.NoError(l.t, err)
	patch(`{"metadata":{"finalizers":["` + updater.Recreate + `"]}}`)
	l.mustEnd(request.Name, kubedb.OpsSuccessful)
	l.requireSize("young", fmt.Sprintf("%dGi", 1+n))
}

// requireSize requires that the StatefulSet is there, has the size and nothing of
// the updater's, and that there is no intent.
func (l *lane) requireSize(name, size string) {
	set, err := l.client.StatefulSets(l.namespace).Get(l.ctx, name, metav1.GetOptions{})
	require.NoError(l.t, err)
	require.Nil(l.t, set.DeletionTimestamp)
	require.Equal(l.t, size, set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	require.NotContains(l.t, set.Labels, updater.Recreate)
	require.NotContains(l.t, set.Finalizers, updater.Recreate)
	_, err = shared.Clients.Core.AppsV1().ControllerRevisions(l.namespace).Get(l.ctx, updater.IntentName(name), metav1.GetOptions{})
	require.True(l.t, apierrors.IsNotFound(err), "the intent to recreate %s stays: %v", name, err)
}

// D20: somebody takes the pause away while the updater is between two lines of a
// recreation, and it dies there, or is only slow. The StatefulSet is recreated all
// the same, and the request succeeds: the pause is not what says whether a request
// is at work.
func TestD20_PauseTakenAwayAtEveryLine(t *testing.T) {
	t.Parallel()
	size := 0
	run := func(l *lane) {
		size++
		name := fmt.Sprintf("grow-%d", size)
		request := expansion(name, "one", 1+size, 0, 0)
		request.Spec.Apply = kubedb.ApplyAlways // nobody says of it that it is Ready
		l.create(request)
		l.mustEnd(name, kubedb.OpsSuccessful)
		l.settled()
		l.requireSize("one", fmt.Sprintf("%dGi", 1+size))
	}
	l := newLane(t, stack.Options{AckWait: time.Second})
	l.createOnStatefulSet(standalone("one"))
	for _, service := range stack.Relay {
		require.NoError(t, os.WriteFile(l.trace(service), nil, 0o600))
	}
	run(l)
	points := slices.DeleteFunc(l.traced(), func(p point) bool {
		return p.service != "updater" || !strings.Contains(p.name, " in ") || strings.Contains(p.name, "singlestores")
	})
	require.NotEmpty(t, points)
	for _, service := range stack.Relay {
		require.NoError(t, os.Remove(l.trace(service)))
	}
	for _, p := range points {
		for _, fault := range []string{"kill", "delay 500ms"} {
			t.Run(fmt.Sprintf("%s#%d=%s", p.name, p.nth, fault), func(t *testing.T) {
				l.t = t
				done := l.faultWithoutPause(p, fault, "one")
				run(l)
				select {
				case err := <-done:
					require.NoError(t, err)
				default:
					require.Fail(t, "nobody came to this point")
				}
			})
			l.t = t
			if t.Failed() {
				return
			}
		}
	}
}

// D03: the request has failed, its StatefulSet is still kept, and the broker has lost
// everything, so that no message asks for it any more. The updater finds it by
// itself.
func TestD03_NobodyAsksForTheStatefulSet(t *testing.T) {
	t.Parallel()
	l := newLane(t, stack.Options{AckWait: time.Second})
	l.createOnStatefulSet(standalone("one"))
	setFinalizers := func(list string) {
		_, err := shared.Clients.Core.AppsV1().StatefulSets(l.namespace).Patch(l.ctx, "one", types.MergePatchType, []byte(`{"metadata":{"finalizers":`+list+`}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	setFinalizers(`["` + keep + `"]`)
	request := expansion("grow", "one", 2, 0, 0)
	request.Spec.Apply, request.Spec.Timeout = kubedb.ApplyAlways, &metav1.Duration{Duration: 30 * time.Second}
	l.create(request)
	l.mustEnd("grow", kubedb.OpsFailed)
	going, err := l.client.StatefulSets(l.namespace).Get(l.ctx, "one", metav1.GetOptions{})
	require.NoError(t, err)
	require.NotNil(t, going.DeletionTimestamp)

	require.NoError(t, l.stack.KillService("updater"))
	conn, err := l.stack.Connect(l.ctx, "purge")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(l.ctx)) }()
	stream, err := conn.JetStream().Stream(l.ctx, events.Stream)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(l.ctx))
	require.NoError(t, l.stack.StartService("updater"))
	setFinalizers(`["` + updater.Recreate + `"]`)

	require.NoError(t, l.client.WaitStatefulSet(l.ctx, l.namespace, "one", func(set *kubedb.StatefulSet) bool {
		return set != nil && set.UID != going.UID && set.Labels[updater.Recreate] == ""
	}))
	intents := kubedb.NewInformer(shared.Clients.Core.AppsV1().ControllerRevisions(l.namespace), &appsv1.ControllerRevision{})
	require.NoError(t, kubedb.Until(l.ctx, intents, func(store cache.Store) bool {
		_, exists, err := store.GetByKey(l.namespace + "/" + updater.IntentName("one"))
		return err == nil && !exists
	}))
	l.requireSize("one", "2Gi")
}

// faultWithoutPause has the fault happen at the point, takes the database's pause
// away then, and starts the service again if it died. The channel says when that is
// done.
func (l *lane) faultWithoutPause(p point, fault, database string) <-chan error {
	died := l.stack.Died(p.service)
	l.arm(p.service, fmt.Sprintf("%s#%d=%s", p.name, p.nth, fault))
	done := make(chan error, 1)
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(l.points, p.service)); errors.Is(err, os.ErrNotExist) {
				break
			}
			select {
			case <-time.After(quick):
			case <-l.ctx.Done():
				return
			}
		}
		err := l.unpause(database)
		if fault == "kill" {
			<-died
			err = errors.Join(err, l.stack.KillService(p.service), l.stack.StartService(p.service))
		}
		done <- err
	}()
	return done
}

// unpause takes the database's pause away, whoever holds it.
func (l *lane) unpause(name string) error {
	for {
		db, err := l.client.Singlestores(l.namespace).Get(l.ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		patch, err := kubedb.StatusPatch(db, map[string]any{"conditions": kubedb.RemoveCondition(db.Status.Conditions, kubedb.ConditionPaused)})
		if err != nil {
			return err
		}
		_, err = l.client.Singlestores(l.namespace).Patch(l.ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		if !apierrors.IsConflict(err) {
			return err
		}
	}
}
