// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/doctor"
)

// diagnosis runs the doctor.
func (b *bundle) diagnosis(args ...string) []doctor.Finding {
	b.Helper()
	args = append([]string{"doctor", "-o", "json", "--kubeconfig", b.stack.Cluster.Kubeconfig, "--nats-url", b.stack.NATS}, args...)
	text, _ := b.run(b.ctx, args...) // the error is that something is broken
	var findings []doctor.Finding
	require.NoError(b, json.Unmarshal([]byte(text), &findings), text)
	return findings
}

// finds waits until the doctor says of a check what is wrong.
func (b *bundle) finds(check string, verdict doctor.Verdict, found, next string, args ...string) {
	b.Helper()
	var last []doctor.Finding
	require.Eventually(b, func() bool {
		last = b.diagnosis(args...)
		for _, f := range last {
			if f.Check == check && f.Verdict == verdict {
				require.Contains(b, f.Found, found)
				require.Contains(b, f.Next, next)
				return true
			}
		}
		return false
	}, patience, 200*time.Millisecond, "%s should be %s", check, verdict)
}

// Each set-up is broken for real, one after another, and stays so.
func TestDoctorFindsWhatIsBroken(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("grow").Status.Phase)
	text, err := b.withNATS("doctor", "-o", "json")
	require.NoError(t, err)
	b.valid("doctor", text)
	require.Eventually(t, func() bool { // a worker does not ask at each moment
		text, err = b.withNATS("doctor")
		return err == nil && !strings.Contains(text, string(doctor.Warning))
	}, patience, 200*time.Millisecond)
	b.prints("doctor", text)
	for _, f := range b.diagnosis() {
		require.NotEqual(t, doctor.Broken, f.Verdict, fmt.Sprint(f))
		require.NotEqual(t, doctor.Unknown, f.Verdict, fmt.Sprint(f))
	}
	conn, err := b.stack.Connect(b.ctx, "test")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(b.ctx)) }()
	js := conn.JetStream()

	nowhere := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(nowhere, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"x","clusters":[{"name":"x","cluster":{"server":"https://127.0.0.1:1"}}],`+
		`"contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],"users":[{"name":"x","user":{}}]}`), 0o600))
	text, err = b.run(b.ctx, "doctor", "--kubeconfig", nowhere, "--nats-url", b.stack.NATS, "-o", "yaml")
	require.ErrorContains(t, err, "something is broken")
	require.Contains(t, text, "check the kubeconfig, its context and the network")
	b.finds("nats", doctor.Broken, "connect to NATS at nats://127.0.0.1:1", "check --nats-url", "--nats-url=nats://127.0.0.1:1")

	_, err = js.PauseConsumer(b.ctx, events.Stream, "updater", time.Now().Add(time.Hour))
	require.NoError(t, err)
	b.finds("consumer updater", doctor.Warning, "paused for another", "opsrelay resume-phase updater")

	for _, service := range stack.Relay {
		require.NoError(t, b.stack.StopService(service))
	}
	b.finds("consumer expander", doctor.Warning, "nobody asks for work", "deploy/expander")
	require.NoError(t, js.DeleteConsumer(b.ctx, events.Stream, "expander"))
	b.finds("consumer expander", doctor.Broken, "there is none", "opsrelay provision")

	stream, err := js.Stream(b.ctx, events.ProgressStream)
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.MaxAge = time.Hour
	_, err = js.UpdateStream(b.ctx, config)
	require.NoError(t, err)
	b.finds("stream "+events.ProgressStream, doctor.Broken, "not this version's", "opsrelay provision")
	require.NoError(t, js.DeleteStream(b.ctx, events.ProgressStream))
	b.finds("stream "+events.ProgressStream, doctor.Broken, "there is none", "opsrelay provision")

	terminated(t, b, js)
	b.finds("dead letters", doctor.Warning, "messages that the broker gave up on: 1", "opsrelay dead-letters list")
	text, err = b.run(b.ctx, "dead-letters", "list", "--nats-url", b.stack.NATS)
	require.NoError(t, err)
	b.prints("dead-letters", text)
	text, err = b.run(b.ctx, "dead-letters", "list", "-o", "json", "--nats-url", b.stack.NATS)
	require.NoError(t, err)
	b.valid("dead-letters", text)

	b.create(fixture.Expansion("stuck", "sdb", fixture.Sizes{Leaf: "12Gi"}, timeout(time.Second)))
	b.finds("requests", doctor.Broken, b.namespace+"/stuck", "opsrelay timeline")

	pauseForNobody(t, b)
	b.finds("pauses", doctor.Broken, "Singlestore "+b.namespace+"/sdb is paused for", "do watcher and pauser run?")

	require.NoError(t, b.core.RbacV1().ClusterRoleBindings().Delete(b.ctx, "opsrelay-pauser", metav1.DeleteOptions{}))
	b.finds("rights of pauser", doctor.Broken, "may not: ", "deploy/base/rights")

	classes, err := b.core.StorageV1().StorageClasses().List(b.ctx, metav1.ListOptions{})
	require.NoError(t, err)
	for _, class := range classes.Items {
		_, err := b.core.StorageV1().StorageClasses().Patch(b.ctx, class.Name, types.MergePatchType, []byte(`{"allowVolumeExpansion":false}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	b.finds("storage classes", doctor.Broken, "none of", "allowVolumeExpansion: true")

	b.checker.ExcuseDatabase("sdb") // its pods have no owner then, as garbage collection sees it
	serve(t, b, false)
	b.finds("definition petsets.apps.k8s.appscode.com", doctor.Broken, "does not know it", "deploy/crds")
	serve(t, b, true) // the invariants are going to be checked
}

// serve says whether the API server serves PetSets.
func serve(t *testing.T, b *bundle, served bool) {
	t.Helper()
	client, err := dynamic.NewForConfig(b.stack.Cluster.Config())
	require.NoError(t, err)
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/versions/0/served","value":%t}]`, served)
	_, err = definitions.Patch(b.ctx, "petsets.apps.k8s.appscode.com", types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := b.client.PetSets(b.namespace).List(b.ctx, metav1.ListOptions{})
		return (err == nil) == served
	}, patience, 100*time.Millisecond)
}

// terminated has the broker give up on a message.
func terminated(t *testing.T, b *bundle, js jetstream.JetStream) {
	t.Helper()
	consumer, err := js.Consumer(b.ctx, events.Stream, "pauser")
	require.NoError(t, err)
	_, err = js.Publish(b.ctx, events.ChainKey{Kind: "singlestore", Namespace: "nobody", UID: "nobody"}.Subject(events.Requested), []byte("{"))
	require.NoError(t, err)
	msg, err := consumer.Next()
	require.NoError(t, err)
	require.NoError(t, msg.TermWithReason("no event"))
}

// pauseForNobody pauses the database for a request that never was.
func pauseForNobody(t *testing.T, b *bundle) {
	t.Helper()
	db, err := b.client.Singlestores(b.namespace).Get(b.ctx, "sdb", metav1.GetOptions{})
	require.NoError(t, err)
	owner := kubedb.Owner{Kind: kubedb.KindSinglestoreOpsRequest, Namespace: b.namespace, Name: "gone", UID: "gone"}
	conditions := kubedb.SetCondition(db.Status.Conditions, kubedb.PauseCondition(owner, db.Generation))
	patch, err := kubedb.StatusPatch(db, map[string]any{"conditions": conditions})
	require.NoError(t, err)
	_, err = b.client.Singlestores(b.namespace).Patch(b.ctx, "sdb", types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	require.NoError(t, err)
}
