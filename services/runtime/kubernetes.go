// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	machinery "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opsrelay/opsrelay/services/faultpoint"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// Kubernetes says which API server a process speaks to, and as whom.
type Kubernetes struct {
	// Kubeconfig is a file; empty means the usual rules: $KUBECONFIG,
	// ~/.kube/config, and inside a pod its service account.
	Kubeconfig string
	// Context is the context of the kubeconfig; empty means the current one.
	Context string
	// As is the user to act as; empty means the one of the kubeconfig.
	As string
	// Namespace limits what is watched; empty means all.
	Namespace string
}

// AddFlags adds the flags of the connection.
func (k *Kubernetes) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&k.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, ~/.kube/config, or the pod's service account)")
	flags.StringVar(&k.Context, "context", "", "context of the kubeconfig (default: its current one)")
	flags.StringVar(&k.As, "as", "", "user to act as, system:serviceaccount:NAMESPACE:NAME for a service account")
	flags.StringVar(&k.Namespace, "namespace", "", "watch this namespace only (default: all); the same for every service on one broker")
}

// Config returns the configuration of a client for the given service. There is
// no rate limit on the client's side: the API server's own priority and fairness
// knows better who must wait, and a throttled client is slow in silence.
func (k Kubernetes) Config(service string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = k.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: k.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no connection to Kubernetes: %w; name a kubeconfig with --kubeconfig", err)
	}
	return ServiceConfig(config, service, k.As), nil
}

// ServiceConfig returns a copy of the configuration for the given service,
// acting as the given user unless that is empty.
func ServiceConfig(config *rest.Config, service, as string) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.Timeout = 0 // watches have no end; every other request has a context
	config.UserAgent = "opsrelay-" + service + "/" + Version()
	if as != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: as}
	}
	config.Wrap(faultpoint.Wrap)
	return config
}

// Clients are the clients that the services need.
type Clients struct {
	// KubeDB is for databases, requests and PetSets.
	KubeDB *kubedb.Client
	// Core is for what every Kubernetes has.
	Core kubernetes.Interface
}

// NewClients returns the clients of a configuration.
func NewClients(config *rest.Config) (Clients, error) {
	kubeDB, err := kubedb.NewClient(config)
	if err != nil {
		return Clients{}, err
	}
	// What Kubernetes has itself it can say in a form that takes less time and
	// memory to read than JSON, on both sides.
	binary := rest.CopyConfig(config)
	binary.AcceptContentTypes = machinery.ContentTypeProtobuf + "," + machinery.ContentTypeJSON
	binary.ContentType = machinery.ContentTypeProtobuf
	core, err := kubernetes.NewForConfig(binary)
	if err != nil {
		return Clients{}, fmt.Errorf("new client: %w", err)
	}
	return Clients{KubeDB: kubeDB, Core: core}, nil
}

// clusterTimeout bounds one read of what tells a cluster from another.
const clusterTimeout = 10 * time.Second

// ClusterUID tells one cluster from another: it is the uid of namespace kube-system,
// which lasts as long as the cluster does, backups included. It needs get on that
// namespace.
func ClusterUID(ctx context.Context, core kubernetes.Interface) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	namespace, err := core.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read which cluster this is (the uid of namespace %s): %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}

// namespaceFile is where Kubernetes tells a pod its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Installation is the name of an installation that was given none: in a pod its
// namespace, else "local". A host's name would do for no replicas, and a container
// has another each time.
func Installation() string {
	namespace, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "local"
	}
	return strings.TrimSpace(string(namespace))
}

// ShutdownTimeout is how long a process may take to end: less than Kubernetes'
// own 30 s, after which it would be killed.
const ShutdownTimeout = 25 * time.Second
