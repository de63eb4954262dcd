// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package invariant

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

// checkEnd holds what must be true of a request that has ended.
func (c *Checker) checkEnd(ctx context.Context, request *kubedb.SinglestoreOpsRequest) ([]string, error) {
	switch request.Status.Phase {
	case kubedb.OpsSuccessful:
		return c.checkSuccess(ctx, request)
	case kubedb.OpsFailed:
		return checkFailure(request), nil
	default:
		return nil, nil
	}
}

// checkFailure holds I8: the message is "<step> <kind> <namespace>/<name>:
// <reason>: <text>".
func checkFailure(request *kubedb.SinglestoreOpsRequest) []string {
	condition := kubedb.FindCondition(request.Status.Conditions, kubedb.ConditionVolumeExpansion)
	if condition == nil || condition.Status != metav1.ConditionFalse {
		return []string{fmt.Sprintf("I8: request %s is Failed and has no condition that says why", request.Name)}
	}
	if strings.HasPrefix(condition.Message, "cancelled: ") {
		return nil
	}
	parts := strings.SplitN(condition.Message, ": ", 3)
	if len(parts) != 3 || len(strings.Fields(parts[0])) != 3 || strings.Contains(parts[1], " ") {
		return []string{fmt.Sprintf("I8: the failure of request %s does not name step, object and reason: %q", request.Name, condition.Message)}
	}
	return nil
}

// checkSuccess holds I6. Sizes are compared as quantities, and may be larger.
func (c *Checker) checkSuccess(ctx context.Context, request *kubedb.SinglestoreOpsRequest) ([]string, error) {
	db, err := c.options.Client.Singlestores(request.Namespace).Get(ctx, request.Spec.DatabaseRef.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil // deleted since
	}
	if err != nil {
		return nil, fmt.Errorf("check request %s: %w", request.Name, err)
	}
	var broken []string
	for _, component := range db.Components() {
		size := request.Spec.VolumeExpansion.Size(component.Name)
		if size == nil {
			continue
		}
		if current := component.Size(); current == nil || current.Cmp(*size) < 0 {
			broken = append(broken, fmt.Sprintf("I6: request %s is Successful, but Singlestore %s says %s for %s", request.Name, db.Name, current, component.Name))
		}
		lines, err := c.checkWorkload(ctx, request, component.Workload, *size)
		if err != nil {
			return nil, err
		}
		broken = append(broken, lines...)
	}
	return broken, nil
}

func (c *Checker) checkWorkload(ctx context.Context, request *kubedb.SinglestoreOpsRequest, name string, size resource.Quantity) ([]string, error) {
	set, err := c.options.Client.Workload(ctx, request.Namespace, name)
	if err != nil {
		return nil, fmt.Errorf("check request %s: %w", request.Name, err)
	}
	var broken []string
	for _, template := range set.ClaimTemplates {
		if current := template.Spec.Resources.Requests.Storage(); current.Cmp(size) < 0 {
			broken = append(broken, fmt.Sprintf("I6: request %s is Successful, but claim template %s of %s says %s, not %s", request.Name, template.Name, set, current, size.String()))
		}
	}
	live := 0
	for _, claimName := range set.ClaimNames() {
		claim, err := c.options.Core.CoreV1().PersistentVolumeClaims(request.Namespace).Get(ctx, claimName, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("check request %s: %w", request.Name, err)
		}
		live++
		if capacity := claim.Status.Capacity.Storage(); capacity.Cmp(size) < 0 {
			broken = append(broken, fmt.Sprintf("I6: request %s is Successful, but claim %s has %s, not %s", request.Name, claimName, capacity, size.String()))
		}
	}
	if live == 0 {
		broken = append(broken, fmt.Sprintf("I6: request %s is Successful, but %s has no volume that could have grown", request.Name, set))
	}
	return broken, nil
}
