// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/e2e/fixture"
	"github.com/opsrelay/opsrelay/deploy/stack"
	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/expander"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/opsrelay/doctor"
)

// A request that is deleted while no watcher runs is gone at once, and is cancelled
// when one runs again, wherever its chain stands. A request of the same name that
// is there by then is another one.
func TestF45_DeletedWhileNoWatcherRuns(t *testing.T) {
	b := setupOwn(t, stack.Options{})
	steps := []struct {
		fact    events.Fact
		stopped string // the service that would answer it
	}{
		{events.Requested, ""}, // somebody else's pause is waited for
		{events.Paused, "expander"},
		{events.Expanded, "updater"},
		{events.Updated, "pauser"},
	}
	for i := range steps {
		_, err := b.client.Singlestores(b.namespace).Create(b.ctx, fixture.Topology(fmt.Sprintf("sdb-%d", i), fixture.ClassOnline), metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for i, step := range steps {
		db := fmt.Sprintf("sdb-%d", i)
		b.ready(db)
		var request *kubedb.SinglestoreOpsRequest
		if step.fact == events.Requested {
			b.pauseByCLI(db)
			request = b.create(fixture.Expansion(db, db, fixture.Sizes{Leaf: "11Gi"}))
			b.chainBecomes(request, events.Requested)
			b.waitsFor(db, "PausedBySomebodyElse") // every fact is handled
		} else {
			request = b.reach(db, step.fact, step.stopped)
		}
		require.NoError(t, b.stack.KillService("watcher"))
		if step.stopped == "expander" {
			text, err := b.opsrelay("cancel", b.namespace+"/"+db, "--wait", "--wait-timeout", "4s")
			require.ErrorContains(t, err, "is deleted, but its database "+b.namespace+"/"+db+" is still paused for it")
			require.Contains(t, text, "waiting until its database "+b.namespace+"/"+db+" is resumed")
		} else {
			require.NoError(t, b.delete(db))
		}
		b.gone(db)
		again := b.create(fixture.Expansion(db, db, fixture.Sizes{Leaf: "12Gi"}))
		require.NoError(t, b.stack.StartService("watcher"))
		// What is stopped must not answer before the request is cancelled.
		if step.stopped == "pauser" {
			b.chainBecomes(request, events.Cancelled)
			require.NoError(t, b.stack.StartService(step.stopped))
		}
		require.Equal(t, events.OutcomeCancelled, b.chainBecomes(request, events.Resumed).Operation.Outcome, "deleted after %s", step.fact)
		if step.stopped != "" && step.stopped != "pauser" {
			require.NoError(t, b.stack.StartService(step.stopped))
		}
		if step.fact == events.Requested {
			b.resumeByCLI(db)
		}
		ended := b.ended(db)
		require.Equal(t, again.UID, ended.UID)
		require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
	}
}

// A request of the name of one that was deleted a moment ago is not taken for it.
func TestF45_AnotherRequestOfTheSameName(t *testing.T) {
	b := setup(t)
	b.growing("grow", "sdb")
	first, err := b.client.SinglestoreOpsRequests(b.namespace).Get(b.ctx, "grow", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, b.delete("grow"))
	again := b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "12Gi"}))
	require.Equal(t, events.OutcomeCancelled, b.chainBecomes(first, events.Resumed).Operation.Outcome)
	require.NoError(t, b.stack.Cluster.ClearFault(b.ctx, cluster.ClaimVolume(b.namespace, "data-sdb-leaf-1")))
	ended := b.ended("grow")
	require.Equal(t, again.UID, ended.UID)
	require.Equal(t, kubedb.OpsSuccessful, ended.Status.Phase, fixture.FailureOf(ended))
}

// webhook refuses, as KubeDB's does, every update of a request and of its status
// whose database does not exist.
type webhook struct {
	*bundle
	calls   atomic.Int64 // all
	refused atomic.Int64 // the watcher's writes that were
}

// wantDatabases installs the webhook for the test's namespace, which has a request
// called probe, and returns when it is asked.
func (b *bundle) wantDatabases() *webhook {
	b.Helper()
	w := &webhook{bundle: b}
	server := httptest.NewTLSServer(w)
	b.Cleanup(server.Close)
	name, fail, none, url := "databases."+b.namespace+".example.com", registrationv1.Fail, registrationv1.SideEffectClassNone, server.URL
	configurations := b.core.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := configurations.Create(b.ctx, &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: name, FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			ClientConfig:      registrationv1.WebhookClientConfig{URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: b.namespace}},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Update},
				Rule: registrationv1.Rule{APIGroups: []string{kubedb.OpsGroupVersion.Group}, APIVersions: []string{"*"},
					Resources: []string{kubedb.ResourceSinglestoreOpsRequests, kubedb.ResourceSinglestoreOpsRequests + "/status"}},
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(b, err)
	b.Cleanup(func() {
		require.NoError(b, configurations.Delete(context.WithoutCancel(b.ctx), name, metav1.DeleteOptions{}))
	})
	require.Eventually(b, func() bool {
		b.patchRequest("probe", `{}`)
		return w.calls.Load() > 0
	}, patience, 100*time.Millisecond, "the webhook is not asked")
	return w
}

// ServeHTTP answers the API server's question.
func (w *webhook) ServeHTTP(answer http.ResponseWriter, question *http.Request) {
	w.calls.Add(1)
	var review admissionv1.AdmissionReview
	var request kubedb.SinglestoreOpsRequest
	if json.NewDecoder(question.Body).Decode(&review) != nil || json.Unmarshal(review.Request.Object.Raw, &request) != nil {
		http.Error(answer, "no review of a request", http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	_, err := w.client.Singlestores(request.Namespace).Get(question.Context(), request.Spec.DatabaseRef.Name, metav1.GetOptions{})
	if err != nil {
		if strings.HasSuffix(review.Request.UserInfo.Username, ":watcher") {
			w.refused.Add(1)
		}
		review.Response.Allowed = false
		review.Response.Result = &metav1.Status{Code: http.StatusForbidden, Message: "spec.databaseRef: " + request.Spec.DatabaseRef.Name + ", is invalid or not found"}
	}
	answer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(answer).Encode(review) //nolint:errchkjson // the API server hears it or asks again
}

// restrained requires that the watcher writes what is refused again, but later and
// later: what it did at once would be hundreds by then.
func (w *webhook) restrained() {
	w.Helper()
	require.Eventually(w, func() bool { return w.refused.Load() >= 3 }, patience, 50*time.Millisecond, "it is not tried again")
	began, before := time.Now(), w.refused.Load()
	<-time.After(5 * time.Second) // I11 is about a rate
	require.LessOrEqual(w, float64(w.refused.Load()-before), time.Since(began).Seconds(), "more than one write a second")
}

// D24: beside KubeDB's webhook a request of a database that is gone can be written by
// nobody. It can be deleted all the same, its namespace goes, nothing else waits
// for it, and the doctor says what is stuck.
func TestD24_RequestOfADatabaseThatIsGone(t *testing.T) {
	b := setup(t)
	b.growing("grow", "sdb")
	b.createDatabase(fixture.Standalone("other", fixture.ClassOnline))
	b.create(fixture.Expansion("probe", "other", fixture.Sizes{Node: "2Gi"}))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("probe").Status.Phase)
	w := b.wantDatabases()
	b.checker.ExcuseDatabase("sdb")
	request, err := b.client.SinglestoreOpsRequests(b.namespace).Get(b.ctx, "grow", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, b.client.Singlestores(b.namespace).Delete(b.ctx, "sdb", metav1.DeleteOptions{}))
	last := b.chainBecomes(request, events.Resumed)
	require.Equal(t, kubedb.ReasonDatabaseGone, last.Operation.Failure.Reason)
	w.restrained()
	b.create(fixture.Expansion("meanwhile", "other", fixture.Sizes{Node: "3Gi"}))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("meanwhile").Status.Phase)
	b.finds("statuses", doctor.Broken, b.namespace+"/grow (", "kubectl delete singlestoreopsrequest")
	require.NoError(t, b.delete("grow"))
	b.gone("grow")

	late := b.create(fixture.Expansion("late", "sdb", fixture.Sizes{Leaf: "11Gi"})) // the database is gone
	b.chainBecomes(late, events.Rejected)
	b.checker.ExcuseNamespace()
	b.deleteNamespace()
	b.namespaceGone()
}

// D24: the finalizer that version 1 put on requests is taken off whatever their
// state, and where that is refused it is said, and done when it is allowed.
func TestD24_FinalizerOfVersion1(t *testing.T) {
	b := setup(t)
	old := func(name, database string) *kubedb.SinglestoreOpsRequest {
		request := fixture.Expansion(name, database, fixture.Sizes{Leaf: "11Gi"})
		request.Finalizers = []string{"example.com/keep", kubedb.RequestFinalizer}
		return request
	}
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.create(old("grow", "sdb"))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("grow").Status.Phase)
	without := func(name string) {
		fixture.Eventually(b.ctx, t, b.client.SinglestoreOpsRequests(b.namespace), name, "no finalizer of ours", &kubedb.SinglestoreOpsRequest{},
			func(request *kubedb.SinglestoreOpsRequest) bool {
				return slices.Equal(request.Finalizers, []string{"example.com/keep"})
			})
	}
	without("grow")
	b.patchRequest("grow", `{"metadata":{"finalizers":["example.com/keep","`+kubedb.RequestFinalizer+`"]}}`)
	without("grow") // it has ended
	b.patchRequest("grow", `{"metadata":{"finalizers":null}}`)

	b.create(fixture.Expansion("probe", "sdb", fixture.Sizes{Leaf: "12Gi"}))
	require.Equal(t, kubedb.OpsSuccessful, b.ended("probe").Status.Phase)
	w := b.wantDatabases()
	b.create(old("stuck", "late"))
	w.restrained()
	require.NoError(t, b.delete("stuck"))
	b.finds("finalizers", doctor.Broken, b.namespace+"/stuck (", "the watcher takes it off as soon as that is allowed")
	text, err := os.ReadFile(b.stack.LogFile("watcher"))
	require.NoError(t, err)
	said := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.Contains(line, b.namespace+"/stuck") && strings.Contains(line, `"write":"finalizers"`) {
			said++
		}
	}
	require.Equal(t, 1, said, "it is said once")
	b.createDatabase(fixture.Topology("late", fixture.ClassOnline))
	without("stuck")
	b.patchRequest("stuck", `{"metadata":{"finalizers":null}}`)
	b.gone("stuck")
}

// D25: a request for a database that is being deleted is rejected, and nothing is
// restarted for it.
func TestD25_DatabaseIsBeingDeleted(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	before := b.pods()
	b.keepDatabase("sdb")
	require.NoError(t, b.client.Singlestores(b.namespace).Delete(b.ctx, "sdb", metav1.DeleteOptions{}))
	text, err := b.opsrelay("expand", b.namespace+"/sdb", "--leaf", "11Gi", "--dry-run")
	require.Error(t, err)
	require.Contains(t, text, "Singlestore "+b.namespace+"/sdb is being deleted")
	b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "DatabaseTerminating: spec.databaseRef: Singlestore "+b.namespace+"/sdb is being deleted")
	b.restarted(before)
	b.letDatabaseGo("sdb")
}

// D25: a deletion of the database that begins under way ends the request at once,
// while the database is still there.
func TestD25_DeletionBeginsUnderWay(t *testing.T) {
	b := setup(t)
	b.growing("grow", "sdb")
	b.keepDatabase("sdb")
	require.NoError(t, b.client.Singlestores(b.namespace).Delete(b.ctx, "sdb", metav1.DeleteOptions{}))
	request := b.ended("grow")
	require.Equal(t, kubedb.OpsFailed, request.Status.Phase)
	require.Contains(t, fixture.FailureOf(request), "expand Singlestore "+b.namespace+"/sdb: DatabaseTerminating: the database is being deleted")
	db, err := b.client.Singlestores(b.namespace).Get(b.ctx, "sdb", metav1.GetOptions{})
	require.NoError(t, err, "the request ended only when the database was gone")
	require.False(t, kubedb.IsPaused(db))
	b.letDatabaseGo("sdb")
}

// D21: Kubernetes deletes the pods of a namespace first and the requests when none is
// left, so the requests of a namespace that is being deleted are cancelled at once:
// a pod that one holds would keep all of it.
func TestD21_NamespaceIsDeletedWhileAPodIsHeld(t *testing.T) {
	b := setup(t)
	b.createDatabase(fixture.Topology("sdb", fixture.ClassOnline))
	b.fault("data-sdb-leaf-1", cluster.Fault{Never: true})
	request := b.create(fixture.Expansion("grow", "sdb", fixture.Sizes{Leaf: "11Gi"}, offline))
	b.pod("sdb-leaf-1", "held and dead", func(pod *corev1.Pod) bool {
		return slices.Contains(pod.Finalizers, expander.Hold) && pod.Status.Phase == corev1.PodSucceeded
	})
	b.checker.ExcuseNamespace()
	b.deleteNamespace()
	last := b.chainBecomes(request, events.Resumed)
	require.Equal(t, events.OutcomeCancelled, last.Operation.Outcome)
	require.Equal(t, "the namespace is being deleted", last.Operation.Failure.Message)
	b.namespaceGone()
}

// keepDatabase puts somebody's finalizer on the database, and tells the checker that
// the test deletes it.
func (b *bundle) keepDatabase(name string) {
	b.Helper()
	b.checker.ExcuseDatabase(name)
	_, err := b.client.Singlestores(b.namespace).Patch(b.ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/keep"]}}`), metav1.PatchOptions{})
	require.NoError(b, err)
}

// letDatabaseGo takes the finalizer off.
func (b *bundle) letDatabaseGo(name string) {
	b.Helper()
	_, err := b.client.Singlestores(b.namespace).Patch(b.ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(b, err)
}

func (b *bundle) deleteNamespace() {
	b.Helper()
	require.NoError(b, b.core.CoreV1().Namespaces().Delete(b.ctx, b.namespace, metav1.DeleteOptions{}))
}

// namespaceGone waits until there is no such namespace.
func (b *bundle) namespaceGone() {
	b.Helper()
	var last *corev1.Namespace
	require.Eventually(b, func() bool {
		namespace, err := b.core.CoreV1().Namespaces().Get(b.ctx, b.namespace, metav1.GetOptions{})
		last = namespace
		return apierrors.IsNotFound(err)
	}, patience, 200*time.Millisecond, "the namespace stays: %v", last)
}

// logs waits until the service has logged the words.
func (b *bundle) logs(service, words string) {
	b.Helper()
	require.Eventually(b, func() bool {
		text, err := os.ReadFile(b.stack.LogFile(service))
		require.NoError(b, err)
		return strings.Contains(string(text), words)
	}, patience, 100*time.Millisecond, "%s does not log %q", service, words)
}
