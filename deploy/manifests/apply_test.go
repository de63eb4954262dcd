// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// warnings keeps what the API server warns about.
type warnings struct {
	mu   sync.Mutex
	text []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(code int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text+" ("+http.StatusText(code)+")")
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text
}

// applier applies objects as `kubectl apply --server-side` does.
type applier struct {
	client   dynamic.Interface
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	warnings *warnings
}

func newApplier(t *testing.T) applier {
	t.Helper()
	needCluster(t)
	return newApplierTo(t, development.Config())
}

// newApplierTo applies to another cluster than that of all tests.
func newApplierTo(t *testing.T, config *rest.Config) applier {
	t.Helper()
	a := applier{warnings: &warnings{}}
	config.WarningHandler = a.warnings
	var err error
	a.client, err = dynamic.NewForConfig(config)
	require.NoError(t, err)
	found, err := discovery.NewDiscoveryClientForConfig(rest.AddUserAgent(rest.CopyConfig(config), "manifests"))
	require.NoError(t, err)
	a.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	return a
}

// apply applies an object, for real unless it is told to only try.
func (a applier) apply(ctx context.Context, object *unstructured.Unstructured, only ...string) error {
	resource, err := a.resource(object)
	if err != nil {
		return err
	}
	data, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{
		FieldManager: "kubectl", Force: &force, FieldValidation: metav1.FieldValidationStrict, DryRun: only,
	})
	return err
}

func (a applier) remove(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := a.resource(object)
	if err != nil {
		return err
	}
	return resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{})
}

func (a applier) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	resource := a.client.Resource(mapping.Resource)
	if namespace := object.GetNamespace(); namespace != "" {
		return resource.Namespace(namespace), nil
	}
	return resource, nil
}

// The rights are applied for real, the overlays tried: the simulated nodes of the
// cluster would run their pods.
func TestAPIServerTakesEverythingWithoutAWarning(t *testing.T) {
	t.Parallel()
	for _, directory := range []string{rights, standIns} {
		t.Run(directory, func(t *testing.T) {
			t.Parallel()
			a := newApplier(t)
			for _, object := range render(t, directory) {
				require.NoError(t, a.apply(t.Context(), object), "%s %s", object.GetKind(), object.GetName())
			}
			require.Empty(t, a.warnings.all())
		})
	}
	for _, directory := range []string{relay, dev, production} {
		t.Run(directory, func(t *testing.T) {
			t.Parallel()
			a := newApplier(t)
			for _, object := range render(t, directory) {
				if object.GetKind() == "ScaledObject" {
					continue // KEDA's, which is not in this cluster
				}
				require.NoError(t, a.apply(t.Context(), object, metav1.DryRunAll), "%s %s", object.GetKind(), object.GetName())
			}
			require.Empty(t, a.warnings.all())
		})
	}
}

// The namespace refuses every pod that is not restricted, and takes ours.
func TestNamespaceTakesThePods(t *testing.T) {
	t.Parallel()
	core, _ := administrator(t)
	a := newApplier(t)
	require.NoError(t, a.apply(t.Context(), render(t, relay).find(t, "PriorityClass", "opsrelay")))
	awaitDefaultAccount(t, core)

	careless := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "careless", Namespace: "opsrelay"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "opsrelay"}}},
	}
	_, err := core.CoreV1().Pods("opsrelay").Create(t.Context(), careless, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.ErrorContains(t, err, "violates PodSecurity \"restricted:latest\"")

	for _, directory := range []string{relay, dev, production} {
		for _, w := range render(t, directory).workloads(t) {
			t.Run(directory+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				pod := &corev1.Pod{ObjectMeta: w.template.ObjectMeta, Spec: w.template.Spec}
				pod.Name, pod.Namespace = "try-"+w.name, "opsrelay"
				if w.kind == "StatefulSet" { // its controller adds the volumes of its claims
					pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
						PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-" + w.name + "-0"},
					}})
				}
				_, err := core.CoreV1().Pods("opsrelay").Create(t.Context(), pod, metav1.CreateOptions{
					DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
				})
				require.NoError(t, err)
			})
		}
	}
}

// awaitDefaultAccount waits for what a controller makes in every namespace.
func awaitDefaultAccount(t *testing.T, core kubernetes.Interface) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := core.CoreV1().ServiceAccounts("opsrelay").Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	}, patience, tick)
}
