// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// policies looks whether each service is held to its work by the policy of its
// manifest. Without it nothing stands still: the service may do whatever its role
// allows.
func (p Patient) policies(ctx context.Context) Finding {
	const check = "policies of the services"
	wanted, err := manifests[admissionregistrationv1.ValidatingAdmissionPolicy]("ValidatingAdmissionPolicy")
	if err != nil {
		return unknown(check, err)
	}
	var wrong []string
	for _, want := range wanted {
		lack, err := p.lacks(ctx, want)
		if err != nil {
			return unknown(check, err)
		}
		if lack != "" {
			wrong = append(wrong, want.Name+" "+lack)
		}
	}
	if len(wrong) > 0 {
		return warning(check, strings.Join(wrong, ", ")+": a service may do whatever its role allows",
			"kubectl apply --server-side -k deploy/base/rights")
	}
	return ok(check, "as in the manifests")
}

// lacks says what the cluster's policy lacks, or nothing. What the API server fills
// in by itself is not compared.
func (p Patient) lacks(ctx context.Context, want admissionregistrationv1.ValidatingAdmissionPolicy) (string, error) {
	client := p.Clients.Core.AdmissionregistrationV1()
	have, err := client.ValidatingAdmissionPolicies().Get(ctx, want.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "is not there", nil
	case err != nil:
		return "", err
	case !equality.Semantic.DeepEqual(have.Spec.MatchConditions, want.Spec.MatchConditions),
		!equality.Semantic.DeepEqual(have.Spec.Variables, want.Spec.Variables),
		!equality.Semantic.DeepEqual(have.Spec.Validations, want.Spec.Validations):
		return "is not this version's", nil
	}
	binding, err := client.ValidatingAdmissionPolicyBindings().Get(ctx, want.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "is not bound", nil
	case err != nil:
		return "", err
	case !slices.Contains(binding.Spec.ValidationActions, admissionregistrationv1.Deny):
		return "does not deny", nil
	default:
		return "", nil
	}
}
