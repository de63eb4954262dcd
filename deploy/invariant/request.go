// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package invariant

import "fmt"

// Right is what a rule of a role allows: one verb on one resource.
type Right struct {
	// Service is whose right it is.
	Service string
	// Verb is Kubernetes' word.
	Verb string
	// Group is the resource's API group, empty for the core.
	Group string
	// Resource is the resource with its subresource.
	Resource string
}

// String is the right on one line.
func (r Right) String() string {
	if r.Group == "" {
		return fmt.Sprintf("%s: %s %s", r.Service, r.Verb, r.Resource)
	}
	return fmt.Sprintf("%s: %s %s.%s", r.Service, r.Verb, r.Resource, r.Group)
}

// Requests are the rights that services made use of, and those that they
// lacked, with an example of a request each.
type Requests struct{ Allowed, Refused map[Right]string }

// ReadRequests returns what services asked of the API server, which must have
// logged reads, too. A watch is logged when it ends.
func ReadRequests(path string) (Requests, error) {
	requests := Requests{Allowed: map[Right]string{}, Refused: map[Right]string{}}
	err := eachOfServices(path, func(service string, event auditEvent) {
		right := Right{Service: service, Verb: event.Verb, Group: event.ObjectRef.APIGroup, Resource: event.resource()}
		// Not the answer's code: what is beyond a quota is forbidden as well.
		switch event.Annotations["authorization.k8s.io/decision"] {
		case "allow":
			requests.Allowed[right] = event.RequestURI
		case "forbid":
			requests.Refused[right] = event.RequestURI
		}
	})
	return requests, err
}
