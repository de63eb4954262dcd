// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// namespace is where the service accounts are.
const namespace = "opsrelay"

// identityDirectory holds a service's kubeconfig, as a mounted secret would. It
// is a volume: nothing can be copied into a read-only container.
const identityDirectory = "/run/opsrelay"

// scale makes that many replicas run. New ones may not be ready yet.
func (i *installation) scale(ctx context.Context, service string, replicas int) error {
	for len(i.services[service]) < replicas {
		replica, err := i.startService(ctx, service)
		if err != nil {
			return fmt.Errorf("start %s: %w", service, err)
		}
		i.services[service] = append(i.services[service], replica)
	}
	for last := len(i.services[service]) - 1; last >= replicas; last-- {
		if err := i.services[service][last].Terminate(ctx); err != nil {
			return fmt.Errorf("end %s: %w", service, err)
		}
		i.services[service] = i.services[service][:last]
	}
	return nil
}

func (i *installation) startService(ctx context.Context, service string) (*testcontainers.DockerContainer, error) {
	kubeconfig, err := i.kubeconfig(ctx, service)
	if err != nil {
		return nil, err
	}
	return i.start(ctx, imageOpsrelay, nil,
		testcontainers.WithCmd(service, "--kubeconfig="+identityDirectory+"/kubeconfig", "--log-level=debug"),
		testcontainers.WithEnv(map[string]string{"OPSRELAY_NATS_URL": i.natsURL}), confined(), i.withIdentity(kubeconfig))
}

// withIdentity copies the kubeconfig into the container before it starts,
// readable for its user alone. (testcontainers' own copy goes by way of /, which
// a read-only container refuses.)
func (i *installation) withIdentity(kubeconfig []byte) testcontainers.CustomizeRequestOption {
	return testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
		PostCreates: []testcontainers.ContainerHook{func(ctx context.Context, container testcontainers.Container) error {
			var archive bytes.Buffer
			writer := tar.NewWriter(&archive)
			header := &tar.Header{Name: "kubeconfig", Mode: 0o400, Uid: nonRootID, Gid: nonRootID, Size: int64(len(kubeconfig))}
			if err := writer.WriteHeader(header); err != nil {
				return err
			}
			if _, err := writer.Write(kubeconfig); err != nil {
				return err
			}
			if err := writer.Close(); err != nil {
				return err
			}
			_, err := i.docker.CopyToContainer(ctx, container.GetContainerID(), client.CopyToContainerOptions{
				DestinationPath: identityDirectory, Content: &archive,
			})
			return err
		}},
	})
}

// confined takes from a container what Kubernetes' restricted policy takes from
// a pod, and the right to write to its own files.
func confined() testcontainers.CustomizeRequestOption {
	return testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
		host.ReadonlyRootfs = true
		host.CapDrop = []string{"ALL"}
		host.SecurityOpt = []string{"no-new-privileges"}
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeVolume, Target: identityDirectory})
	})
}

// kubeconfig is that of the service's own service account: a token from the API,
// which can do what deploy/base allows, and nothing else.
func (i *installation) kubeconfig(ctx context.Context, service string) ([]byte, error) {
	hour := int64(time.Hour / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}
	answer, err := i.clients.Core.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, service, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[hostCluster] = &clientcmdapi.Cluster{Server: clusterURL, CertificateAuthorityData: i.config.CAData}
	config.AuthInfos[service] = &clientcmdapi.AuthInfo{Token: answer.Status.Token}
	config.Contexts[hostCluster] = &clientcmdapi.Context{Cluster: hostCluster, AuthInfo: service}
	config.CurrentContext = hostCluster
	return clientcmd.Write(*config)
}

// ready waits until every replica of every service is.
func (i *installation) ready(ctx context.Context) error {
	for _, service := range allServices() {
		for _, replica := range i.services[service] {
			if err := i.awaitOK(ctx, replica, "8080", "/readyz"); err != nil {
				return fmt.Errorf("%s is not ready: %w\n%s", service, err, i.logOf(ctx, replica))
			}
		}
	}
	return nil
}

// probe asks once and keeps no connection: the container may have another
// address the next time.
var probe = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// awaitOK waits until the container answers with 200.
func (i *installation) awaitOK(ctx context.Context, container *testcontainers.DockerContainer, port, path string) error {
	last := "nothing"
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		address, err := i.address(ctx, container)
		if err != nil {
			last = err.Error()
			return false, nil
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(address, port)+path, nil)
		if err != nil {
			return false, err
		}
		response, err := probe.Do(request)
		if err != nil {
			last = err.Error()
			return false, nil
		}
		last = response.Status
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("%s of %s: %w (last answer: %s)", path, container.GetContainerID(), err, last)
	}
	return nil
}
