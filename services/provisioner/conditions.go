// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// The messages below are those of KubeDB's operator.

func condition(db *kubedb.Singlestore, conditionType string, status bool, reason, message string) kubedb.Condition {
	c := kubedb.Condition{
		Type: conditionType, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: db.Generation,
	}
	if status {
		c.Status = metav1.ConditionTrue
	}
	return c
}

func startedCondition(db *kubedb.Singlestore) kubedb.Condition {
	return condition(db, kubedb.ConditionProvisioningStarted, true, kubedb.ReasonProvisioningStarted,
		fmt.Sprintf("The KubeDB operator has started the provisioning of Singlestore: %s/%s", db.Namespace, db.Name))
}

func provisionedCondition(db *kubedb.Singlestore) kubedb.Condition {
	return condition(db, kubedb.ConditionProvisioned, true, kubedb.ReasonProvisioned,
		fmt.Sprintf("The Singlestore: %s/%s is successfully provisioned.", db.Namespace, db.Name))
}

// replicaCondition says whether every PetSet is there with all its pods ready.
func replicaCondition(db *kubedb.Singlestore, sets []*kubedb.PetSet) kubedb.Condition {
	if want := len(db.Components()); len(sets) < want {
		return condition(db, kubedb.ConditionReplicaReady, false, kubedb.ReasonSomeReplicasNotReady, fmt.Sprintf(
			"All PetSets are not available. Desire number of PetSet: %d, Available: %d", want, len(sets)))
	}
	for _, set := range sets {
		if want := desired(set); set.Status.ReadyReplicas < want {
			return condition(db, kubedb.ConditionReplicaReady, false, kubedb.ReasonSomeReplicasNotReady, fmt.Sprintf(
				"All desired replicas are not ready. For PetSet: %s/%s desired replicas: %d, ready replicas: %d.",
				set.Namespace, set.Name, want, set.Status.ReadyReplicas))
		}
	}
	return condition(db, kubedb.ConditionReplicaReady, true, kubedb.ReasonAllReplicasReady, "All desired replicas are ready.")
}

// connectionCondition says whether the database takes connections: a node that takes queries (the only component of a
// standalone database, the aggregators of a cluster) must be ready. KubeDB connects to find out.
func connectionCondition(db *kubedb.Singlestore, sets []*kubedb.PetSet) kubedb.Condition {
	components := db.Components()
	if len(components) > 0 && len(sets) > 0 && sets[0].Name == components[0].Workload && sets[0].Status.ReadyReplicas > 0 {
		return condition(db, kubedb.ConditionAcceptingConnection, true, kubedb.ReasonAcceptingConnection,
			fmt.Sprintf("database %s/%s is accepting connection", db.Namespace, db.Name))
	}
	is := kubedb.FindCondition(db.Status.Conditions, kubedb.ConditionAcceptingConnection)
	if is != nil && uncounted(components, sets) {
		return *is
	}
	return condition(db, kubedb.ConditionAcceptingConnection, false, kubedb.ReasonNotAcceptingConnection,
		fmt.Sprintf("database %s/%s is not accepting connection", db.Namespace, db.Name))
}

// uncounted reports whether nobody counts the pods of the first component: its workload was deleted without them, or made
// again and not looked at yet. The database runs on as it was.
func uncounted(components []kubedb.Component, sets []*kubedb.PetSet) bool {
	if len(components) == 0 || len(sets) == 0 || sets[0].Name != components[0].Workload {
		return true
	}
	return sets[0].Status.ObservedGeneration == 0
}

// readyCondition follows from the others.
func readyCondition(db *kubedb.Singlestore, others []kubedb.Condition) kubedb.Condition {
	if kubedb.IsConditionTrue(others, kubedb.ConditionReplicaReady) && kubedb.IsConditionTrue(others, kubedb.ConditionAcceptingConnection) {
		return condition(db, kubedb.ConditionReady, true, kubedb.ReasonAllReplicasReady,
			fmt.Sprintf("database %s/%s is ready", db.Namespace, db.Name))
	}
	return condition(db, kubedb.ConditionReady, false, kubedb.ReasonSomeReplicasNotReady,
		fmt.Sprintf("database %s/%s is not ready", db.Namespace, db.Name))
}

func desired(set *kubedb.PetSet) int32 {
	if set.Spec.Replicas == nil {
		return 1
	}
	return *set.Spec.Replicas
}
