// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Refusal says why a request cannot work. It is an error.
type Refusal struct {
	// Field is the field of the request that it is about.
	Field string
	// Reason is one of the constants of this package.
	Reason string
	// Message says what is wrong and what can be done.
	Message string
}

func (r *Refusal) Error() string { return r.Field + ": " + r.Message }

func refuse(field, reason, format string, args ...any) *Refusal {
	return &Refusal{Field: field, Reason: reason, Message: message(format, args...)}
}

// checkRequest holds the rules that need no look at the cluster.
func checkRequest(request *kubedb.SinglestoreOpsRequest) error {
	spec := request.Spec
	if !slices.Contains(kubedb.OpsRequestTypes, spec.Type) {
		return refuse("spec.type", ReasonTypeNotSupported, "defined OpsRequestType %s is not supported, supported types for Singlestore are %s", spec.Type, typeNames())
	}
	if spec.Type != kubedb.TypeVolumeExpansion {
		return refuse("spec.type", ReasonTypeNotSupported, "Opsrelay runs requests of type %s only, not %s", kubedb.TypeVolumeExpansion, spec.Type)
	}
	if name := spec.DatabaseRef.Name; name != "" {
		if err := kubedb.CheckName(name); err != nil {
			return refuse("spec.databaseRef.name", ReasonInvalidRequest, "%s", err)
		}
	}
	expansion := spec.VolumeExpansion
	if expansion == nil {
		return refuse("spec.volumeExpansion", ReasonInvalidRequest, "spec.volumeExpansion nil not supported in VolumeExpansion type")
	}
	if (expansion.Aggregator != nil || expansion.Leaf != nil) && expansion.Node != nil {
		return refuse("spec.volumeExpansion", ReasonInvalidRequest, "spec.volumeExpansion.node and topology settings (aggregator/leaf) cannot both be set")
	}
	for _, component := range []string{kubedb.ComponentNode, kubedb.ComponentAggregator, kubedb.ComponentLeaf} {
		if size := expansion.Size(component); size != nil && size.Sign() <= 0 {
			return refuse("spec.volumeExpansion."+component, ReasonInvalidRequest, "the size must be greater than zero, not %s", size)
		}
	}
	if policy, set := request.Annotations[kubedb.AnnotationInfeasible]; set && policy != kubedb.InfeasibleFail && policy != kubedb.InfeasibleRecover {
		return refuse("metadata.annotations["+kubedb.AnnotationInfeasible+"]", ReasonInvalidRequest, "%q is neither %s nor %s",
			policy, kubedb.InfeasibleFail, kubedb.InfeasibleRecover)
	}
	if spec.Timeout != nil && spec.Timeout.Duration <= 0 {
		return refuse("spec.timeout", ReasonInvalidRequest, "the timeout must be greater than zero, not %s", spec.Timeout.Duration)
	}
	switch spec.Apply {
	case "", kubedb.ApplyIfReady, kubedb.ApplyAlways:
	default:
		return refuse("spec.apply", ReasonInvalidRequest, "%q is neither %s nor %s", spec.Apply, kubedb.ApplyIfReady, kubedb.ApplyAlways)
	}
	switch expansion.Mode {
	case kubedb.ModeOnline, kubedb.ModeOffline:
		return nil
	default:
		return refuse("spec.volumeExpansion.mode", ReasonModeNotSupported, "mode %q is neither Online nor Offline", expansion.Mode)
	}
}

// checkSizes holds the rules about the request and the database object. It
// returns the components that grow.
func checkSizes(db *kubedb.Singlestore, request *kubedb.SinglestoreOpsRequest) ([]Component, error) {
	expansion := request.Spec.VolumeExpansion
	if db.Spec.Topology != nil && expansion.Aggregator == nil && expansion.Leaf == nil {
		return nil, refuse("spec.volumeExpansion", ReasonInvalidRequest, "topology settings (aggregator/leaf) can not be empty as reference database mode is clustering")
	}
	if db.Spec.Topology == nil && expansion.Node == nil {
		return nil, refuse("spec.volumeExpansion", ReasonInvalidRequest, "spec.volumeExpansion.node can not be empty as reference database mode is standalone")
	}
	if db.Spec.StorageType == kubedb.StorageEphemeral {
		return nil, refuse("spec.databaseRef", ReasonNoStorage, "Singlestore %s/%s has Ephemeral storage: it has no volumes to expand", db.Namespace, db.Name)
	}
	var components []Component
	for _, component := range db.Components() {
		size := expansion.Size(component.Name)
		if size == nil {
			continue
		}
		// Once it has started, a request may find its own size there: KubeDB's rule
		// holds in phase "" and Pending only.
		started := request.Status.Phase == kubedb.OpsProgressing
		if err := checkSize(component, size, started); err != nil {
			return nil, err
		}
		components = append(components, Component{
			Name: component.Name, Workload: component.Workload, From: component.Size().String(), To: size.String(), size: *size,
		})
	}
	return components, nil
}

func checkSize(component kubedb.Component, size *resource.Quantity, started bool) error {
	field := "spec.volumeExpansion." + component.Name
	current := component.Size()
	switch {
	case component.Storage == nil:
		return refuse(field, ReasonNoStorage, "storage not configured for Singlestore %s", component.Name)
	case current == nil:
		return refuse(field, ReasonNoStorage, "failed to parse current %s storage size", component.Name)
	case size.Cmp(*current) <= 0 && !started:
		return refuse(field, ReasonSizeNotGreater, "desired %s storage size must be greater than current storage. Current storage: %s", component.Name, current)
	default:
		return nil
	}
}

func typeNames() string {
	names := make([]string, len(kubedb.OpsRequestTypes))
	for i, name := range kubedb.OpsRequestTypes {
		names[i] = string(name)
	}
	return strings.Join(names, ", ")
}
