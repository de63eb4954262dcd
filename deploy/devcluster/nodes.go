// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/yaml"
)

// Our own stages differ from kwok's in that a deleted pod dies before it goes.
var (
	//go:embed stages/pod-terminate.yaml
	podTerminate string
	//go:embed stages/pod-delete.yaml
	podDelete string
)

// zones are given to the nodes in turn.
var zones = []string{"zone-a", "zone-b", "zone-c"}

// startNodes creates the nodes and starts what plays them until ctx ends.
func (c *cluster) startNodes(ctx context.Context, client kubernetes.Interface) error {
	for i := range c.nodes {
		_, err := client.CoreV1().Nodes().Create(ctx, node(i), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create a simulated node: %w", err)
		}
	}
	stages, err := parseStages(fast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady, podfast.DefaultPodComplete, podTerminate, podDelete)
	if err != nil {
		return err
	}
	kubelets, err := controllers.NewController(controllers.Config{
		Clock:                     clock.RealClock{},
		TypedClient:               kubeletClient{client},
		ManageAllNodes:            true,
		LocalStages:               stages,
		CIDR:                      "10.244.0.1/16",
		NodeIP:                    "127.0.0.1",
		NodePort:                  10250,
		PodPlayStageParallelism:   8,
		NodePlayStageParallelism:  2,
		PodsOnNodeSyncParallelism: 2,
		NodeLeaseParallelism:      2,
		NodeLeaseDurationSeconds:  40,
		ID:                        userNodes,
	})
	if err != nil {
		return fmt.Errorf("configure the simulated nodes: %w", err)
	}
	ctx = kwoklog.NewContext(ctx, kwoklog.NewLogger(c.log, kwoklog.LevelWarn))
	if err := kubelets.Start(ctx); err != nil {
		return fmt.Errorf("start the simulated nodes: %w", err)
	}
	return nil
}

// node is large enough for thousands of pods.
func node(i int) *corev1.Node {
	name := fmt.Sprintf("node-%d", i+1)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("10k"),
		corev1.ResourceMemory:           resource.MustParse("64Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Pi"),
		corev1.ResourcePods:             resource.MustParse("10k"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelHostname:       name,
				corev1.LabelOSStable:       "linux",
				corev1.LabelArchStable:     "amd64",
				corev1.LabelTopologyRegion: "devcluster",
				corev1.LabelTopologyZone:   zones[i%len(zones)],
				"type":                     "kwok",
			},
			Annotations: map[string]string{
				"kwok.x-k8s.io/node": "fake",
				// The attach controller serves only nodes that ask for it.
				"volumes.kubernetes.io/controller-managed-attach-detach": "true",
			},
		},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
}

func parseStages(documents ...string) (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	stages := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, document := range documents {
		var external v1alpha1.Stage
		if err := yaml.UnmarshalStrict([]byte(document), &external); err != nil {
			return nil, fmt.Errorf("read a stage: %w", err)
		}
		v1alpha1.SetObjectDefaults_Stage(&external)
		stage, err := internalversion.ConvertToInternalStage(&external)
		if err != nil {
			return nil, fmt.Errorf("read stage %s: %w", external.Name, err)
		}
		stages[stage.Spec.ResourceRef] = append(stages[stage.Spec.ResourceRef], stage)
	}
	return stages, nil
}
