// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The users of the cluster's own components. Each has a name of its own, so
// that the audit log tells whose write a write was.
const (
	userAdmin             = "devcluster:admin"
	userControllerManager = "system:kube-controller-manager"
	userScheduler         = "system:kube-scheduler"
	userNodes             = "devcluster:nodes"
	userProvisioner       = "devcluster:provisioner"
	userResizer           = "devcluster:resizer"
	userDriver            = "devcluster:csi-driver"
)

// groupMasters may do anything. The controller-manager and the scheduler are
// not in it: RBAC knows them by name.
const groupMasters = "system:masters"

func groupsOf(user string) []string {
	if user == userControllerManager || user == userScheduler {
		return nil
	}
	return []string{groupMasters}
}

// writeKubeconfigs writes the administrator's and every component's.
func (c *cluster) writeKubeconfigs() error {
	for _, user := range []string{
		userAdmin, userControllerManager, userScheduler, userNodes, userProvisioner, userResizer, userDriver,
	} {
		if err := c.writeKubeconfig(user); err != nil {
			return fmt.Errorf("write the kubeconfig of %s: %w", user, err)
		}
	}
	return nil
}

func (c *cluster) writeKubeconfig(user string) error {
	cert, key, err := c.pki.issueClient(user, groupsOf(user)...)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["devcluster"] = &clientcmdapi.Cluster{Server: c.serverURL(), CertificateAuthorityData: c.pki.caPEM}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts["devcluster"] = &clientcmdapi.Context{Cluster: "devcluster", AuthInfo: user}
	config.CurrentContext = "devcluster"
	return clientcmd.WriteToFile(*config, c.kubeconfigOf(user))
}

// kubeconfigOf is the file of a user's kubeconfig.
func (c *cluster) kubeconfigOf(user string) string {
	if user == userAdmin {
		return c.kubeconfig
	}
	return filepath.Join(c.pki.dir, fileName(user)+".kubeconfig")
}

// clientFor is a client without a rate limit of its own: the API's priority and
// fairness is limit enough.
func (c *cluster) clientFor(user string) (kubernetes.Interface, error) {
	return newClient(c.kubeconfigOf(user), user)
}

func newClient(kubeconfig, user string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig of %s: %w", user, err)
	}
	config.QPS = -1
	config.UserAgent = user
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the client of %s: %w", user, err)
	}
	return client, nil
}

// serverURL is the API's address for clients on this machine.
func (c *cluster) serverURL() string {
	host, port, err := net.SplitHostPort(c.api.Addr().String())
	if err != nil {
		return "https://" + c.api.Addr().String()
	}
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, port)
}

// fileName turns a user's name into that of a file.
func fileName(user string) string { return strings.ReplaceAll(user, ":", "-") }
