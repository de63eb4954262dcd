// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// state is what there is of a PetSet with two replicas.
type state struct {
	missing    bool
	unobserved bool
	ready      int32
}

func petSets(db *kubedb.Singlestore, states ...state) []*kubedb.PetSet {
	var sets []*kubedb.PetSet
	two := int32(2)
	for i, component := range db.Components() {
		if states[i].missing {
			continue
		}
		set := &kubedb.PetSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: component.Workload}}
		set.Spec.Replicas = &two
		set.Status.ReadyReplicas = states[i].ready
		if !states[i].unobserved {
			set.Status.ObservedGeneration = 1
		}
		sets = append(sets, set)
	}
	return sets
}

func summary(status kubedb.SinglestoreStatus) string {
	var words []string
	for _, c := range status.Conditions {
		words = append(words, fmt.Sprintf("%s=%.1s", c.Type, c.Status))
	}
	return strings.Join(words, " ") + " -> " + string(status.Phase)
}

func TestStatusThroughALife(t *testing.T) {
	t.Parallel()
	db := parse(t, `{"metadata":{"namespace":"demo","name":"sdb","generation":1},"spec":{"topology":{"aggregator":{},"leaf":{}}}}`)
	all, some, none, gone := state{ready: 2}, state{ready: 1}, state{}, state{missing: true}
	steps := []struct {
		name    string
		sets    []state
		want    string
		message string // of ReplicaReady
	}{
		{"made", []state{gone, gone},
			"ProvisioningStarted=T ReplicaReady=F AcceptingConnection=F Ready=F -> Provisioning",
			"All PetSets are not available. Desire number of PetSet: 2, Available: 0"},
		{"starting", []state{some, none},
			"ProvisioningStarted=T ReplicaReady=F AcceptingConnection=T Ready=F -> Provisioning",
			"All desired replicas are not ready. For PetSet: demo/sdb-aggregator desired replicas: 2, ready replicas: 1."},
		{"up", []state{all, all},
			"ProvisioningStarted=T ReplicaReady=T AcceptingConnection=T Ready=T Provisioned=T -> Ready",
			"All desired replicas are ready."},
		{"a leaf lost", []state{all, some},
			"ProvisioningStarted=T ReplicaReady=F AcceptingConnection=T Ready=F Provisioned=T -> Critical",
			"All desired replicas are not ready. For PetSet: demo/sdb-leaf desired replicas: 2, ready replicas: 1."},
		{"PetSet deleted without its pods", []state{gone, all},
			"ProvisioningStarted=T ReplicaReady=F AcceptingConnection=T Ready=F Provisioned=T -> Critical",
			"All PetSets are not available. Desire number of PetSet: 2, Available: 1"},
		{"PetSet made again", []state{{unobserved: true}, all},
			"ProvisioningStarted=T ReplicaReady=F AcceptingConnection=T Ready=F Provisioned=T -> Critical",
			"All desired replicas are not ready. For PetSet: demo/sdb-aggregator desired replicas: 2, ready replicas: 0."},
		{"no aggregator", []state{none, all},
			"ProvisioningStarted=T ReplicaReady=F AcceptingConnection=F Ready=F Provisioned=T -> NotReady",
			"All desired replicas are not ready. For PetSet: demo/sdb-aggregator desired replicas: 2, ready replicas: 0."},
		{"well again", []state{all, all},
			"ProvisioningStarted=T ReplicaReady=T AcceptingConnection=T Ready=T Provisioned=T -> Ready",
			"All desired replicas are ready."},
	}
	for _, step := range steps { // each starts from the status that the one before it left
		db.Status = newStatus(db, petSets(db, step.sets...))
		require.Equal(t, step.want, summary(db.Status), step.name)
		require.Equal(t, step.message, kubedb.FindCondition(db.Status.Conditions, "ReplicaReady").Message, step.name)
		require.Equal(t, db.Status, newStatus(db, petSets(db, step.sets...)), "%s: nothing new to say", step.name)
	}
}

func TestStatusWhilePaused(t *testing.T) {
	t.Parallel()
	db := parse(t, `{"metadata":{"namespace":"demo","name":"sdb","generation":1},"spec":{}}`)
	db.Status = newStatus(db, petSets(db, state{ready: 2}))
	paused := kubedb.PauseCondition(kubedb.Owner{Kind: "SinglestoreOpsRequest", Namespace: "demo", Name: "r", UID: "u"}, 1)
	db.Status.Conditions = kubedb.SetCondition(db.Status.Conditions, paused)
	db.Generation = 2

	require.Equal(t, db.Status.Phase, newStatus(db, petSets(db, state{ready: 2})).Phase)
	require.EqualValues(t, 1, newStatus(db, petSets(db, state{ready: 2})).ObservedGeneration)
	critical := newStatus(db, petSets(db, state{ready: 1}))
	require.Equal(t, kubedb.DatabaseCritical, critical.Phase)
	require.EqualValues(t, 1, critical.ObservedGeneration)
	require.True(t, kubedb.IsConditionTrue(critical.Conditions, kubedb.ConditionPaused))

	db.Status.Conditions = kubedb.RemoveCondition(db.Status.Conditions, kubedb.ConditionPaused)
	resumed := newStatus(db, petSets(db, state{ready: 2}))
	require.EqualValues(t, 2, resumed.ObservedGeneration)
	require.EqualValues(t, 2, kubedb.FindCondition(resumed.Conditions, kubedb.ConditionReady).ObservedGeneration)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	require.ErrorContains(t, err, "needs Client and Kubernetes")
}
