// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/opsrelay/opsrelay/deploy/invariant"
	"github.com/opsrelay/opsrelay/deploy/stack"
)

// listsOnly has a service list before it watches, as it does where the API server
// cannot stream a list: that is what its right to list is for. The services of
// the shared stack do, those of a test's own stack do not.
const listsOnly = "KUBE_FEATURE_WatchListClient=false"

// granted are all rights that the manifests give to services.
var granted []invariant.Right

// takesRights says which tests take rights away, and from which service: there
// it is to be refused.
var takesRights = map[string]string{
	"TestF42_TheWatcherLacksRights":       "watcher",
	"TestOnlineNodeExpansionWithoutNudge": "expander",
}

// asked is what services asked of the API servers of all tests.
var asked requests

type requests struct {
	mu      sync.Mutex
	allowed map[invariant.Right]bool
	refused []string
}

// add takes up what the services of a stack asked. The stack must have ended, for
// a watch is logged at its end.
func (r *requests) add(test string, s *stack.Stack) error {
	read, err := invariant.ReadRequests(s.Cluster.AuditLog)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.allowed == nil {
		r.allowed = map[invariant.Right]bool{}
	}
	for right := range read.Allowed {
		r.allowed[right] = true
	}
	for right, example := range read.Refused {
		if slices.Contains(stack.Relay, right.Service) || slices.Contains(stack.KubeDB, right.Service) {
			if takesRights[test] != right.Service {
				r.refused = append(r.refused, fmt.Sprintf("%s was refused in %s: %s", right, test, example))
			}
		}
	}
	return nil
}

// compare says which rights services lacked, and, if every test ran to its end,
// which ones no test used.
func (r *requests) compare(granted []invariant.Right, whole bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures := slices.Clone(r.refused)
	for _, right := range granted {
		if whole && !r.allowed[right] && !implicit(right) {
			failures = append(failures, fmt.Sprintf("%s is granted by ClusterRole opsrelay-%s, and no test used it: remove it from the manifest, or test what needs it", right, right.Service))
		}
	}
	if len(failures) == 0 {
		return nil
	}
	slices.Sort(failures)
	return errors.New("rights of the services:\n  " + strings.Join(failures, "\n  "))
}

// wholeRun tells whether no flag leaves tests out.
func wholeRun() bool {
	return flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == ""
}

// implicit tells whether a right is used by no request: clusters with the
// admission plugin OwnerReferencesPermissionEnforcement ask for it when an object
// is made whose owner it blocks.
func implicit(right invariant.Right) bool {
	return right.Verb == "update" && strings.HasSuffix(right.Resource, "/finalizers")
}

// installedRights lists what the services' roles grant.
func installedRights(ctx context.Context, core kubernetes.Interface) ([]invariant.Right, error) {
	var rights []invariant.Right
	for _, service := range slices.Concat(stack.Relay, stack.KubeDB) {
		role, err := core.RbacV1().ClusterRoles().Get(ctx, "opsrelay-"+service, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read the rights of the %s: %w", service, err)
		}
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						rights = append(rights, invariant.Right{Service: service, Verb: verb, Group: group, Resource: resource})
					}
				}
			}
		}
	}
	return rights, nil
}
