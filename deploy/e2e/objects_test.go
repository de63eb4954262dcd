// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// recovering is the request with the policy to recover from a size that the
// storage cannot give.
func recovering(request *kubedb.SinglestoreOpsRequest) *kubedb.SinglestoreOpsRequest {
	metav1.SetMetaDataAnnotation(&request.ObjectMeta, kubedb.AnnotationInfeasible, kubedb.InfeasibleRecover)
	return request
}

// always makes the request not wait until its database is Ready.
func always(spec *kubedb.SinglestoreOpsRequestSpec) { spec.Apply = kubedb.ApplyAlways }

// timeout sets how long a step may take.
func timeout(d time.Duration) func(*kubedb.SinglestoreOpsRequestSpec) {
	return func(spec *kubedb.SinglestoreOpsRequestSpec) { spec.Timeout = &metav1.Duration{Duration: d} }
}
