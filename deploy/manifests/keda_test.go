// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/opsrelay/opsrelay/events"
)

// workers are the services that follow their lag.
var workers = []string{"expander", "pauser", "updater"}

// scaledObject is what KEDA reads, field by field; a field that it does not have
// is refused.
type scaledObject struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       struct {
		ScaleTargetRef  struct{ Name string }
		MinReplicaCount int32
		MaxReplicaCount int32
		PollingInterval int32
		CooldownPeriod  int32
		Fallback        struct{ FailureThreshold, Replicas int32 }
		Advanced        struct {
			HorizontalPodAutoscalerConfig struct {
				Behavior struct {
					ScaleDown struct{ StabilizationWindowSeconds int32 }
				}
			}
		}
		Triggers []struct {
			Type     string
			Metadata struct {
				NATSServerMonitoringEndpoint string `json:"natsServerMonitoringEndpoint"`
				Account, Stream, Consumer    string
				LagThreshold                 string
				ActivationLagThreshold       string
				UseHTTPS                     string `json:"useHttps"`
			}
		}
	} `json:"spec"`
}

func TestWorkersFollowTheirLag(t *testing.T) {
	t.Parallel()
	consumers := events.Consumers()
	tests := []struct {
		name        string
		objects     manifests
		least, fall int32
		account     string
	}{
		{"component", with(t, relay, "nats", "keda"), 0, 1, "$G"},
		{"production", render(t, production), 2, 2, "OPSRELAY"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Len(t, test.objects.kind("ScaledObject"), len(workers))
			for _, worker := range workers {
				o := decode[scaledObject](t, test.objects.find(t, "ScaledObject", worker))
				require.Equal(t, "keda.sh/v1alpha1", o.APIVersion)
				require.Equal(t, "opsrelay", o.Metadata["namespace"])
				require.Equal(t, worker, test.objects.find(t, "Deployment", o.Spec.ScaleTargetRef.Name).GetName())
				require.Equal(t, test.least, o.Spec.MinReplicaCount)
				require.Greater(t, o.Spec.MaxReplicaCount, o.Spec.MinReplicaCount)
				require.Positive(t, o.Spec.PollingInterval)
				require.Positive(t, o.Spec.CooldownPeriod)
				require.Positive(t, o.Spec.Fallback.FailureThreshold)
				require.Equal(t, test.fall, o.Spec.Fallback.Replicas)
				require.Positive(t, o.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior.ScaleDown.StabilizationWindowSeconds)

				require.Len(t, o.Spec.Triggers, 1)
				require.Equal(t, "nats-jetstream", o.Spec.Triggers[0].Type)
				trigger := o.Spec.Triggers[0].Metadata
				require.Equal(t, test.account, trigger.Account)
				require.True(t, slices.ContainsFunc(consumers, func(c events.Consumer) bool {
					return c.Name == trigger.Consumer && c.Stream == trigger.Stream && c.Name == worker
				}), "%s is no consumer of %s", trigger.Consumer, trigger.Stream)
				threshold, err := strconv.Atoi(trigger.LagThreshold)
				require.NoError(t, err)
				require.Positive(t, threshold)
				require.Equal(t, "0", trigger.ActivationLagThreshold)
				require.Equal(t, "false", trigger.UseHTTPS)
				requireHeadless(t, test.objects, trigger.NATSServerMonitoringEndpoint)
			}
			policy := as[networkingv1.NetworkPolicy](t, test.objects.find(t, "NetworkPolicy", "nats-monitoring")).Spec
			require.True(t, matches(t, &policy.PodSelector, test.objects.workload(t, "nats").template.Labels))
		})
	}
	require.Empty(t, render(t, dev).kind("ScaledObject"))
}

// requireHeadless requires the endpoint to be the monitoring port of a headless
// Service: KEDA puts the name of a server before it.
func requireHeadless(t *testing.T, objects manifests, endpoint string) {
	t.Helper()
	service := as[corev1.Service](t, objects.find(t, "Service", "nats-headless"))
	require.Equal(t, corev1.ClusterIPNone, service.Spec.ClusterIP)
	i := slices.IndexFunc(service.Spec.Ports, func(port corev1.ServicePort) bool { return port.Name == "monitor" })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, fmt.Sprintf("%s.%s.svc.cluster.local:%d", service.Name, service.Namespace, service.Spec.Ports[i].Port), endpoint)
	require.True(t, matchesAll(service.Spec.Selector, objects.workload(t, "nats").template.Labels))
}

func matchesAll(selector, of map[string]string) bool {
	for key, value := range selector {
		if of[key] != value {
			return false
		}
	}
	return true
}
