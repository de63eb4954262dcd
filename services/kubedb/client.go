// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	"fmt"
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// The typed clients: Get, List, Watch, Create, Update, UpdateStatus, Patch (with subresources), Delete and
// DeleteCollection, as in client-go.
type (
	// SinglestoreClient is for databases.
	SinglestoreClient = gentype.ClientWithList[*Singlestore, *SinglestoreList]
	// SinglestoreOpsRequestClient is for requests.
	SinglestoreOpsRequestClient = gentype.ClientWithList[*SinglestoreOpsRequest, *SinglestoreOpsRequestList]
	// PetSetClient is for workloads.
	PetSetClient = gentype.ClientWithList[*PetSet, *PetSetList]
	// StatefulSetClient is for workloads that are no PetSets.
	StatefulSetClient = gentype.ClientWithList[*StatefulSet, *StatefulSetList]
)

// Client speaks to an API server about the kinds of this package. It is safe for concurrent use.
//
// +k8s:deepcopy-gen=false
type Client struct {
	database, ops, apps, statefulSets rest.Interface
}

// NewClient returns a client for the API server that cfg describes; it does not connect yet. The API groups share
// one HTTP client and one rate limiter, as in a generated clientset.
func NewClient(cfg *rest.Config) (*Client, error) {
	shared := rest.CopyConfig(cfg)
	shared.ContentConfig = rest.ContentConfig{
		AcceptContentTypes:   runtime.ContentTypeJSON, // custom resources have no protobuf
		ContentType:          runtime.ContentTypeJSON,
		NegotiatedSerializer: serializer.NewCodecFactory(Scheme).WithoutConversion(),
	}
	shared.APIPath = "/apis"
	if shared.UserAgent == "" {
		shared.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	if shared.RateLimiter == nil && shared.QPS > 0 {
		if shared.Burst <= 0 {
			return nil, fmt.Errorf("new client: burst must be greater than 0 when QPS is %g", shared.QPS)
		}
		shared.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(shared.QPS, shared.Burst)
	}
	transport, err := rest.HTTPClientFor(shared)
	if err != nil {
		return nil, fmt.Errorf("new client: %w", err)
	}

	client := &Client{}
	for _, group := range []struct {
		client  *rest.Interface
		version schema.GroupVersion
	}{
		{&client.database, DatabaseGroupVersion},
		{&client.ops, OpsGroupVersion},
		{&client.apps, AppsGroupVersion},
		{&client.statefulSets, appsv1.SchemeGroupVersion},
	} {
		if *group.client, err = newGroupClient(shared, group.version, transport); err != nil {
			return nil, err
		}
	}
	return client, nil
}

func newGroupClient(shared *rest.Config, version schema.GroupVersion, transport *http.Client) (rest.Interface, error) {
	cfg := rest.CopyConfig(shared)
	cfg.GroupVersion = &version
	client, err := rest.RESTClientForConfigAndClient(cfg, transport)
	if err != nil {
		return nil, fmt.Errorf("new client for %s: %w", version, err)
	}
	return client, nil
}

// Singlestores is the client of the databases of a namespace; "" lists and watches all of them.
func (c *Client) Singlestores(namespace string) *SinglestoreClient {
	return gentype.NewClientWithList[*Singlestore, *SinglestoreList](ResourceSinglestores, c.database, parameterCodec,
		namespace, func() *Singlestore { return &Singlestore{} }, func() *SinglestoreList { return &SinglestoreList{} })
}

// SinglestoreOpsRequests is the client of the requests of a namespace; "" lists and watches all of them.
func (c *Client) SinglestoreOpsRequests(namespace string) *SinglestoreOpsRequestClient {
	return gentype.NewClientWithList[*SinglestoreOpsRequest, *SinglestoreOpsRequestList](ResourceSinglestoreOpsRequests,
		c.ops, parameterCodec, namespace, func() *SinglestoreOpsRequest { return &SinglestoreOpsRequest{} },
		func() *SinglestoreOpsRequestList { return &SinglestoreOpsRequestList{} })
}

// PetSets is the client of the PetSets of a namespace; "" lists and watches all of them.
func (c *Client) PetSets(namespace string) *PetSetClient {
	return gentype.NewClientWithList[*PetSet, *PetSetList](ResourcePetSets, c.apps, parameterCodec, namespace,
		func() *PetSet { return &PetSet{} }, func() *PetSetList { return &PetSetList{} })
}

// StatefulSets is the client of the StatefulSets of a namespace; "" lists and watches all of them.
func (c *Client) StatefulSets(namespace string) *StatefulSetClient {
	return gentype.NewClientWithList[*StatefulSet, *StatefulSetList](ResourceStatefulSets, c.statefulSets, parameterCodec,
		namespace, func() *StatefulSet { return &StatefulSet{} }, func() *StatefulSetList { return &StatefulSetList{} })
}

// parameterCodec encodes the options of lists, watches, creations and so on into a request's query.
var parameterCodec = runtime.NewParameterCodec(Scheme)
