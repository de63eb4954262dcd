// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/opsrelay/opsrelay/services/runtime"
)

func matches(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	require.NoError(t, err)
	return parsed.Matches(labels.Set(of))
}

func TestServices(t *testing.T) {
	t.Parallel()
	for _, directory := range []string{relay, dev, production} {
		objects := render(t, directory)
		for _, w := range objects.workloads(t) {
			if w.kind != "Deployment" {
				continue
			}
			t.Run(directory+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				require.Subset(t, w.template.Labels, w.selector)
				require.Equal(t, w.name, w.selector["app.kubernetes.io/name"])
				spec := w.template.Spec
				require.Equal(t, w.name, spec.ServiceAccountName)
				// The work is handed over, then the connection is drained.
				grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
				require.Greater(t, grace, 2*runtime.ShutdownTimeout)
				require.Equal(t, "opsrelay", spec.PriorityClassName)
				require.Len(t, spec.TopologySpreadConstraints, 2)
				require.Len(t, spec.Containers, 1)
				c := spec.Containers[0]
				for path, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
					require.Equal(t, path, probe.HTTPGet.Path)
					require.Equal(t, "http", probe.HTTPGet.Port.String())
				}
				require.Equal(t, "/livez", c.StartupProbe.HTTPGet.Path)
				require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
				require.False(t, c.Resources.Requests.Cpu().IsZero())
				require.False(t, c.Resources.Limits.Memory().IsZero())
			})
		}
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	replicas := func(directory, name string) *int32 { return render(t, directory).workload(t, name).replicas }
	require.EqualValues(t, 2, *replicas(production, "watcher"))
	for _, worker := range workers {
		require.EqualValues(t, 1, *replicas(dev, worker))
		// Applying the manifests again must not undo what KEDA did.
		require.Nil(t, replicas(production, worker))
	}
	require.EqualValues(t, 1, *replicas(dev, "nats"))
	require.EqualValues(t, 3, *replicas(production, "nats"))
}

func TestDisruptionBudgets(t *testing.T) {
	t.Parallel()
	budgets := map[string][]string{
		relay:      {"expander", "pauser", "updater", "watcher"},
		production: {"expander", "nats", "pauser", "updater", "watcher"},
	}
	for directory, names := range budgets {
		objects := render(t, directory)
		require.Len(t, objects.kind("PodDisruptionBudget"), len(names))
		for _, name := range names {
			spec := as[policyv1.PodDisruptionBudget](t, objects.find(t, "PodDisruptionBudget", name)).Spec
			require.Equal(t, 1, spec.MaxUnavailable.IntValue())
			for _, w := range objects.workloads(t) {
				require.Equal(t, w.name == name, matches(t, spec.Selector, w.template.Labels), "%s selects %s", name, w.name)
			}
		}
	}
}

// TestNetwork says for each pod where it may connect to and who connects to it,
// by port.
func TestNetwork(t *testing.T) {
	t.Parallel()
	type ports struct{ egress, ingress []int }
	service := ports{egress: []int{53, 53, 443, 4222, 6443}, ingress: []int{8080}}
	standIn := ports{egress: []int{53, 53, 443, 6443}, ingress: []int{8080}}
	job := ports{egress: []int{53, 53, 443, 4222, 6443}}
	tests := map[string]map[string]ports{
		relay: {"watcher": service, "pauser": service, "expander": service, "updater": service, "provision": job},
		dev: {
			"watcher": service, "pauser": service, "expander": service, "updater": service, "provision": job,
			"provisioner": standIn, "petset": standIn,
			"nats": {egress: []int{53, 53, 6222}, ingress: []int{4222, 6222}},
		},
		production: {
			"watcher": service, "pauser": service, "expander": service, "updater": service, "provision": job,
			"nats": {egress: []int{53, 53, 6222}, ingress: []int{4222, 6222, 8222}},
		},
	}
	for directory, want := range tests {
		t.Run(directory, func(t *testing.T) {
			t.Parallel()
			objects := render(t, directory)
			got := map[string]ports{}
			for _, w := range objects.workloads(t) {
				var p ports
				denied := map[networkingv1.PolicyType]bool{}
				for _, object := range objects.kind("NetworkPolicy") {
					spec := as[networkingv1.NetworkPolicy](t, object).Spec
					if !matches(t, &spec.PodSelector, w.template.Labels) {
						continue
					}
					for _, kind := range spec.PolicyTypes {
						denied[kind] = true
					}
					for _, rule := range spec.Egress {
						p.egress = append(p.egress, numbers(t, rule.Ports)...)
					}
					for _, rule := range spec.Ingress {
						require.NotEmpty(t, rule.From, object.GetName())
						p.ingress = append(p.ingress, numbers(t, rule.Ports)...)
					}
				}
				require.Len(t, denied, 2, "%s: what is not allowed is refused", w.name)
				got[w.name] = p
			}
			require.Len(t, got, len(want))
			for name, p := range want {
				require.ElementsMatch(t, p.egress, got[name].egress, "%s connects to", name)
				require.ElementsMatch(t, p.ingress, got[name].ingress, "%s is connected to", name)
			}
		})
	}
}

func numbers(t *testing.T, ports []networkingv1.NetworkPolicyPort) []int {
	t.Helper()
	require.NotEmpty(t, ports)
	found := make([]int, len(ports))
	for i, port := range ports {
		found[i] = port.Port.IntValue()
	}
	return found
}
