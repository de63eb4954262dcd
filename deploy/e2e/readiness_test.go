// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/opsrelay/opsrelay/deploy/cluster"
	"github.com/opsrelay/opsrelay/deploy/notrun"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// Without its definitions a service can do nothing: readyz says so, and what is
// missing, and is well again by itself once they are back.
func TestD10_ReadyNoticesMissingDefinitions(t *testing.T) {
	notrun.SkipShort(t)
	t.Parallel()
	own, err := stack.Start(t.Context(), stack.Options{Directory: t.TempDir(), Binary: binary, Processes: []string{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	objects, err := dynamic.NewForConfig(own.Cluster.Config())
	require.NoError(t, err)
	definitions := objects.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})

	ready := map[string]func() string{}
	for _, service := range []string{"watcher", "pauser", "expander", "provisioner"} {
		address := freeAddress(t)
		cmd := exec.CommandContext(t.Context(), binary, service, "--http-address", address,
			"--kubeconfig", own.Cluster.Kubeconfig, "--as", "system:serviceaccount:opsrelay:"+service)
		cmd.Env = append(cmd.Environ(), "OPSRELAY_NATS_URL="+own.NATS)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		ready[service] = func() string {
			response, err := client.Get("http://" + address + "/readyz")
			if err != nil {
				return err.Error()
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			return string(body)
		}
	}
	says := func(text string) {
		t.Helper()
		for service, readyz := range ready {
			require.Eventually(t, func() bool { return strings.Contains(readyz(), text) }, patience, 50*time.Millisecond, "%s: %s", service, text)
		}
	}
	says("ok\n")
	require.NoError(t, definitions.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	says("is its custom resource definition installed")
	require.Eventually(t, func() bool {
		left, err := definitions.List(t.Context(), metav1.ListOptions{})
		return err == nil && len(left.Items) == 0
	}, patience, 50*time.Millisecond)
	require.NoError(t, cluster.InstallCRDs(t.Context(), own.Cluster.Config(), cluster.Definitions()))
	says("ok\n")
}
